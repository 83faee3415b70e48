// Whoever comes back from Hugging Face with the place of a run finds the question about it open.
() => {
  const place = new URLSearchParams(location.search).get('contribute');
  if (!['1', '2'].includes(place) || window.contributing) return;
  window.contributing = true;
  const open = (tries) => {
    const button = document.getElementById(`replay-${place}-contribute`);
    if (button) button.click();
    else if (tries) setTimeout(() => open(tries - 1), 100);
  };
  open(50);
}
