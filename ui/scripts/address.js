// Puts the shown runs into the address (data-address="KEY=ID&..."), so that a reload shows them again.
const KEYS = ['play', 'replay', 'with', 'run', 'blind'];
watch('value', () => {
  const part = element.querySelector('[data-address]');
  if (!part) return;
  const here = new URL(location.href);
  for (const key of KEYS) here.searchParams.delete(key);
  for (const [key, id] of new URLSearchParams(part.dataset.address)) here.searchParams.set(key, id);
  history.replaceState(null, '', here);
});
