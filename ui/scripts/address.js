// Puts what is shown here into the address (data-address="KEY=ID"), so that a reload shows it again; takes it out when empty.
const KEYS = ['play', 'replay', 'run'];
const show = () => {
  const part = element.querySelector('[data-address]');
  if (!part) return;
  const here = new URL(location.href);
  for (const key of KEYS) here.searchParams.delete(key);
  const [key, id] = part.dataset.address.split('=');
  if (id) here.searchParams.set(key, id);
  history.replaceState(null, '', here);
};
watch('value', show);
