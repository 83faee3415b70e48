// A link to a run opens at its conversation, and one that is over at its first message: scrolls there, and stays while
// the page is being filled, until the visitor scrolls, presses or types.
() => {
  const asked = new URLSearchParams(location.search);
  const place = asked.has('run') ? '.lanes' : asked.has('replay') ? '#replay-1 .board' : null;
  if (!place || window.arriving !== undefined) return;
  window.arriving = true;
  const read = () => {
    document.querySelector(place)?.scrollIntoView({ block: 'start' });
    for (const box of document.querySelectorAll('.transcript')) box.follow?.();
  };
  const filling = new ResizeObserver(read);
  const stay = new AbortController();
  const leave = () => { window.arriving = false; filling.disconnect(); stay.abort(); };
  for (const event of ['wheel', 'touchstart', 'pointerdown', 'keydown']) addEventListener(event, leave, { signal: stay.signal, passive: true });
  filling.observe(document.body);
  setTimeout(leave, 10_000);
}
