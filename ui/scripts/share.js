// Sharing: copies links and transcripts, and shows the card of a run in a window from which it can be saved or sent.
const windowOfCard = element.querySelector('[data-card-window]');
const picture = windowOfCard.querySelector('img');
const absolute = (link) => new URL(link, location.href).href;
const fetched = async (link) => {
  const answer = await fetch(link);
  if (!answer.ok) throw new Error(link);
  return answer;
};

// Browsers that have no clipboard, as on a page without HTTPS, can still copy what is selected.
const copySelected = (words) => {
  const area = document.createElement('textarea');
  area.value = words;
  (windowOfCard.open ? windowOfCard : document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('copy');
};
// `words` may be a promise: Safari takes one, but forgets the press of the button if it is awaited first.
const copyWords = async (words) => {
  const blob = Promise.resolve(words).then((text) => new Blob([text], { type: 'text/plain' }));
  try {
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]);
  } catch {
    copySelected(await words);
  }
};
const copyPicture = () => navigator.clipboard.write([
  new ClipboardItem({ 'image/png': fetched(picture.src).then((answer) => answer.blob()) })]);

// A button says what became of it until the visitor leaves it.
const tell = async (button, doing) => {
  button.dataset.was ??= button.textContent;
  try {
    await doing;
    button.textContent = button.dataset.done;
  } catch {
    button.textContent = button.dataset.failed;
  }
  button.setAttribute('aria-live', 'polite');
  const back = () => { button.textContent = button.dataset.was; };
  button.addEventListener('blur', back, { once: true });
  button.addEventListener('pointerleave', back, { once: true });
};

const send = windowOfCard.querySelector('[data-send-card]');
const cardFile = async () => new File([await (await fetched(picture.src)).blob()], 'parley.png', { type: 'image/png' });
const canSend = navigator.canShare?.({ files: [new File([''], 'parley.png', { type: 'image/png' })] });
const openCard = (button) => {
  picture.src = absolute(button.dataset.card);
  windowOfCard.querySelector('[download]').href = picture.src;
  windowOfCard.querySelector('[data-copy]').dataset.copy = button.dataset.link;
  send.hidden = !canSend;
  windowOfCard.showModal();
};

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button');
  if (event.target === windowOfCard || button?.matches('[data-close-card]')) windowOfCard.close(); // or a press beside it
  if (!button) return;
  if (button.matches('[data-card]')) openCard(button);
  else if (button.matches('[data-copy]')) tell(button, copyWords(absolute(button.dataset.copy)));
  else if (button.matches('[data-copy-from]')) tell(button, copyWords(fetched(absolute(button.dataset.copyFrom)).then((answer) => answer.text())));
  else if (button.matches('[data-copy-picture]')) tell(button, copyPicture());
  else if (button.matches('[data-send-card]')) {
    const link = absolute(windowOfCard.querySelector('[data-copy]').dataset.copy);
    navigator.share({ files: [await cardFile()], text: link }).catch(() => {}); // the visitor changed their mind
  }
});
