// Keeps the newest turn visible unless the reader has scrolled up.
const box = element.closest('.transcript');
if (box.dataset.follows === undefined) {
  box.dataset.follows = 'yes';
  box.addEventListener('scroll', () => {
    box.dataset.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 48 ? 'yes' : 'no';
  }, { passive: true });
}
watch('value', () => { if (box.dataset.follows === 'yes') box.scrollTop = box.scrollHeight; });
