// A link to a run opens at its conversation, and one that is over at its first message (see follow.js).
() => {
  const asked = new URLSearchParams(location.search);
  const place = asked.has('run') ? '.lanes' : asked.has('replay') ? '#replay-1 .board' : null;
  if (!place || window.arriving !== undefined) return;
  window.arriving = true;
  const fromTheStart = () => { for (const box of document.querySelectorAll('.transcript')) box.follow?.(); };
  hold(place, 'start', fromTheStart).addEventListener('abort', () => { window.arriving = false; });
}
