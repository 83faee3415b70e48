// A link with ?play=ID or ?replay=ID opens its tab.
() => {
  const asked = new URLSearchParams(location.search);
  const tab = asked.has('play') ? 'play' : asked.has('replay') ? 'history' : null;
  const open = (tries) => {
    if (!window.openTab?.(tab) && tries) setTimeout(() => open(tries - 1), 100);
  };
  if (tab) open(50);
}
