// Sends `tick` while this part is in view: every data-tick seconds or, with data-tick="status", when the status of the
// models changes, at most once a second. Nothing is sent for a part that nobody can see.
const asked = () => element.querySelector('[data-tick]')?.dataset.tick;
let last = 0;
let waiting = 0;
const tick = () => {
  waiting = 0;
  if (document.hidden || !element.offsetParent) return;
  last = performance.now();
  trigger('tick');
};
setInterval(() => { if (performance.now() - last >= 1000 * Number(asked())) tick(); }, 500); // not a number: never
window.addEventListener('parley-status', () => {
  if (asked() === 'status') waiting ||= setTimeout(tick, Math.max(0, 1000 - (performance.now() - last)));
});
