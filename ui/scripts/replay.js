// Scrolls to a run that was picked from the list.
() => setTimeout(() => {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  document.getElementById('replay')?.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'start' });
}, 80)
