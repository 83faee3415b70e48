// Scrolls to the lanes after a start, with what is said across them, unless they are well in view.
() => {
  const lanes = document.querySelector('.lanes');
  if (lanes.getBoundingClientRect().top < innerHeight * 0.6) return;
  const banner = document.querySelector('.banner');
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  (banner.offsetParent ? banner : lanes).scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'start' });
}
