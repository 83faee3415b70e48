// Updates reset whether a fold is open: restore it before the browser paints. Turns and the one being made share this.
const folds = element.closest('.transcript') ?? element;
const open = (folds.openFolds ??= new Set());
element.addEventListener('click', (event) => {
  const part = event.target.closest('summary')?.parentElement;
  const key = part?.dataset.key;
  if (key) { if (part.open) open.delete(key); else open.add(key); }
}, true);
watch('value', () => {
  for (const part of element.querySelectorAll('details[data-key]')) {
    const wanted = open.has(part.dataset.key);
    if (part.open !== wanted) part.open = wanted;
  }
});
