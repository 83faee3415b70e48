// Focus is never lost: when the part that has it is disabled or removed, it goes to the next best one.
const LANE_PARTS = [1, 2].flatMap((number) => {
  const pane = `#replay-${number}`;
  return [
    [`#lane-${number}-continue`, ['#arena-stop', '#arena-start']],
    [`${pane}-delete`, [`${pane}-keep`]],
    [`${pane}-keep`, [`${pane}-delete`]],
    [`${pane}-sure`, ['#history-refresh']],
  ];
});
const NEXT_BEST = [
  ['#arena-start, #arena-again, #arena-next, #arena-play', ['#arena-stop', '#arena-start']],
  ['#arena-stop', ['#arena-start']],
  ['#play-begin, #play-continue', ['#play-builder [data-message]', '#play-stop']],
  ['#play-stop', ['#play-begin']],
  ['#play-builder', ['#play-builder [data-message]', '#play-begin']],
  ['#pairs-run', ['#pairs-stop']],
  ['#pairs-stop', ['#pairs-run']],
  ['#replay-close', ['#history-refresh']],
  ...LANE_PARTS,
];
let places = null; // where focus goes if it is lost now
const remember = (event) => { places = NEXT_BEST.find(([from]) => event.target.closest(from))?.[1] ?? null; };
document.addEventListener('focusin', remember);
document.addEventListener('pointerdown', remember); // a press elsewhere gives focus up on purpose
const lost = () => !document.activeElement || document.activeElement === document.body || document.activeElement.disabled;
const keep = () => {
  if (!places || !lost()) return;
  const usable = (part) => part && !part.disabled && part.offsetParent;
  places.map((place) => document.querySelector(place)).find(usable)?.focus({ preventScroll: true });
};
new MutationObserver(() => { if (places && lost()) requestAnimationFrame(keep); })
  .observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['disabled'] });
