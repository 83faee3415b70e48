// What is put into the page as data-download="NAME" is handed over as a file.
watch('value', () => {
  const part = element.querySelector('[data-download]');
  if (!part) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([part.dataset.text], { type: part.dataset.type }));
  link.download = part.dataset.download;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
