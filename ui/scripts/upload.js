// Reads a picked file and sends its text, or null if it is too large or not UTF-8 text.
element.addEventListener('change', async (event) => {
  const [file] = event.target.files ?? [];
  if (!file) return;
  const read = async () => new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  const small = file.size <= 4 * Number(event.target.dataset.most);
  trigger('submit', { name: file.name, text: small ? await read().catch(() => null) : null });
  event.target.value = '';  // the same file can be picked again
});
