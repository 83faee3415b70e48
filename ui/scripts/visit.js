// A link with ?play=ID or ?replay=ID opens the tab that it is about, and hands it the id.
() => {
  const asked = new URLSearchParams(location.search);
  const tab = asked.has('play') ? 'play' : asked.has('replay') ? 'history' : null;
  const open = (tries) => {
    const button = document.getElementById(`tab-${tab}-button`);
    if (button) button.click(); else if (tries) setTimeout(() => open(tries - 1), 100);
  };
  if (tab) open(50);
}
