// Pressing a part with data-send="KEY" sends a click with its data-value. In a row with data-rove, the chosen part is
// kept visible and is the only Tab stop; the arrow keys move to the others.
element.addEventListener('click', (event) => {
  const part = event.target.closest('[data-send]');
  if (part) trigger('click', { [part.dataset.send]: part.dataset.value });
});
const row = element.querySelector('[data-rove]');
if (row) {
  const rove = () => {
    const parts = [...row.querySelectorAll('[data-send]')];
    const chosen = parts.find((part) => part.ariaPressed === 'true') ?? parts[0];
    for (const part of parts) part.tabIndex = part === chosen ? 0 : -1;
    const left = chosen.offsetLeft - row.offsetLeft;
    if (left < row.scrollLeft || left + chosen.offsetWidth > row.scrollLeft + row.clientWidth) row.scrollLeft = left - 40;
  };
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  element.addEventListener('keydown', (event) => {
    const parts = [...row.querySelectorAll('[data-send]')];
    const next = parts[parts.indexOf(event.target) + (steps[event.key] ?? NaN)];
    if (next) { event.preventDefault(); next.focus(); }
  });
  watch('value', rove);
  requestAnimationFrame(rove);
}
