// A link to a run opens at its conversation, and one that is over at its first message (see follow.js). Whoever comes
// back to contribute a run finds the question about it.
() => {
  const asked = new URLSearchParams(location.search);
  const contribution = `#replay-${parseInt(asked.get('contribute'))}-contribution`;
  const place = asked.has('run') ? '.lanes' : asked.has('contribute') ? contribution : asked.has('replay') ? '#replay-1 .board' : null;
  if (!place || window.arriving !== undefined) return;
  window.arriving = true;
  const fromTheStart = () => { for (const box of document.querySelectorAll('.transcript')) box.follow?.(); };
  hold(place, 'start', fromTheStart).addEventListener('abort', () => { window.arriving = false; });
}
