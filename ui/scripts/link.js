// Puts the run into the address, so that a reload rejoins it; removes it when the lanes are cleared.
watch('value', () => {
  const run = element.querySelector('[data-run]');
  if (!run) return;
  const here = new URL(location.href);
  for (const key of ['run', 'blind']) {
    if (run.dataset[key]) here.searchParams.set(key, run.dataset[key]);
    else here.searchParams.delete(key);
  }
  history.replaceState(null, '', here);
});
