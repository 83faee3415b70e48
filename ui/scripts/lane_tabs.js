// On small screens the heads of the lanes are tabs: pressing one, or an arrow key, shows its lane and hides the other.
const lanes = element.closest('.lanes');
const tabs = () => [...lanes.querySelectorAll('[data-lane]')];
const mark = () => { for (const tab of tabs()) tab.ariaPressed = String(tab.dataset.lane === (lanes.dataset.shows ?? '1')); };
const show = (tab) => { lanes.dataset.shows = tab.dataset.lane; mark(); };
element.addEventListener('click', (event) => {
  const tab = event.target.closest('[data-lane]');
  if (tab) show(tab);
});
element.addEventListener('keydown', (event) => {
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  const next = event.target.closest('[data-lane]') && tabs()[tabs().indexOf(event.target) + (steps[event.key] ?? NaN)];
  if (next) { event.preventDefault(); show(next); next.focus(); }
});
watch('value', mark);
requestAnimationFrame(mark);
