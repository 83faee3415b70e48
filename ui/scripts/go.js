// Goes to another address of this page: data-go="?run=ID".
watch('value', () => {
  const part = element.querySelector('[data-go]');
  if (part) location.assign(new URL(part.dataset.go, location.href));
});
