// Takes what has been done out of the address, so that a reload of the page does not do it again.
() => {
  const here = new URL(location.href);
  here.searchParams.delete('KEY');
  history.replaceState(null, '', here);
}
