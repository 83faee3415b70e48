// Scrolls to the lanes after a start.
() => {
  const small = matchMedia('(max-width: 820px)').matches;
  const lanes = document.querySelector(small ? '.lane .board' : '.lanes');
  if (lanes.getBoundingClientRect().top < innerHeight * 0.4) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  lanes.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'start' });
}
