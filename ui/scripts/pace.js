// The pace at which turns appear: one choice for the whole page, which the browser keeps.
const PACE = 'parley-pace';
const list = element.querySelector('select');
const follow = () => {
  const wanted = localStorage.getItem(PACE);
  if (!wanted || wanted === list.value || ![...list.options].some((option) => option.value === wanted)) return;
  list.value = wanted;
  trigger('input', { pace: wanted });
};
list.addEventListener('change', () => {
  localStorage.setItem(PACE, list.value);
  trigger('input', { pace: list.value });
  window.dispatchEvent(new Event(PACE)); // other lists on the page
});
window.addEventListener(PACE, follow);
follow();
