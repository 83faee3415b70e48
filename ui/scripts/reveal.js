// What was asked for comes into sight.
watch('value', () => {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (element.firstElementChild) element.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'nearest' });
});
