// Shows times in the visitor's time zone and format.
const local = () => {
  for (const part of element.querySelectorAll('time[datetime]')) {
    const when = new Date(part.getAttribute('datetime'));
    const words = when.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    if (part.textContent !== words) part.textContent = words;
  }
};
watch('value', local);
requestAnimationFrame(local);
