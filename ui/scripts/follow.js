// Keeps the newest turn visible unless the reader has scrolled up, and then offers to go to new ones.
const box = element.closest('.transcript');
if (!box.follow) {
  let follows = true;
  let size = 0;
  const sized = () => box.scrollHeight + box.clientHeight;
  const atStart = () => window.arriving && box.closest('.lane')?.querySelector('.verdict.ended'); // see arrive.js
  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 48;
  box.tabIndex = 0; // readers can scroll with the keyboard
  box.follow = (isNew) => {
    size = sized();
    if (follows) box.scrollTop = atStart() ? 0 : box.scrollHeight;
    else if (isNew) box.classList.add('has-newer');
  };
  box.addEventListener('scroll', () => {
    if (atEnd()) {
      follows = true;
      box.classList.remove('has-newer');
    } else if (size === sized()) { // otherwise it was not the reader who scrolled: the content has changed
      follows = false;
    }
  }, { passive: true });
  box.addEventListener('wheel', (event) => { // scrolls even while the content changes
    if (event.deltaY < 0 && box.scrollTop > 0) follows = false;
  }, { passive: true });
  box.addEventListener('click', (event) => {
    if (!event.target.closest('[data-newest]')) return;
    follows = true;
    box.follow();
    box.classList.remove('has-newer');
  });
  new ResizeObserver(() => box.follow()).observe(box);
}
new ResizeObserver(() => box.follow()).observe(element);
watch('value', () => box.follow(element.querySelector('.turns') !== null));
