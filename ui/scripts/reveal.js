// Scrolls to new content.
watch('value', () => {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (element.firstElementChild) element.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'nearest' });
});
