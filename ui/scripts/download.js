// Saves the file that the server put into <template data-file="NAME" data-type="TYPE">, as base64.
watch('value', () => {
  const part = element.querySelector('template[data-file]');
  if (!part) return;
  const bytes = Uint8Array.from(atob(part.dataset.bytes), (letter) => letter.charCodeAt(0));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type: part.dataset.type }));
  link.download = part.dataset.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
