// Puts the run into the address, so that a reload rejoins it; removes it when the lanes are cleared.
watch('value', () => {
  const run = element.querySelector('[data-run]');
  if (!run) return;
  const here = new URL(location.href);
  if (run.dataset.run) here.searchParams.set('run', run.dataset.run);
  else here.searchParams.delete('run');
  history.replaceState(null, '', here);
});
