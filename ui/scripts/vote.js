// The keys 1, 2, = and 0 vote, unless the visitor is typing.
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest('input, textarea, select, [contenteditable]')) return;
  const choice = element.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (choice?.offsetParent) choice.click();
});
