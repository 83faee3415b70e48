// What was picked from the list is what one wants to see.
() => setTimeout(() => {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  document.getElementById('replay')?.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'start' });
}, 80)
