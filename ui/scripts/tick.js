// Sends `tick` while this part is in view: every data-tick seconds, if it says so, and when the status of the models
// changes, if data-tick is "status". Nothing is sent for a part that nobody can see.
let last = 0;
const tick = (seconds) => {
  if (document.hidden || !element.offsetParent || performance.now() - last < 1000 * seconds) return;
  last = performance.now();
  trigger('tick');
};
const asked = () => element.querySelector('[data-tick]')?.dataset.tick;
setInterval(() => { if (Number(asked())) tick(Number(asked())); }, 500);
window.addEventListener('parley-status', () => { if (asked() === 'status') tick(1); });
