// On small screens the heads of the lanes are tabs: pressing one shows its lane and hides the other.
element.addEventListener('click', (event) => {
  const tab = event.target.closest('[data-lane]');
  if (tab) tab.closest('.lanes').dataset.shows = tab.dataset.lane;
});
