// The offer form: sends `input` with the offer while it is edited, and `submit` with the action.
const form = () => element.querySelector('form.builder');
const offer = () => {
  const parts = [...form().querySelectorAll('[data-issue]')];
  return Object.fromEntries(parts.map((part) => [part.dataset.issue, part.type === 'number' ? (part.value === '' ? null : Number(part.value)) : part.value]));
};
const pair = (part) => form().querySelector(
  part.dataset.slides ? `[data-issue="${part.dataset.slides}"]` : `[data-slides="${part.dataset.issue}"]`);
let waiting = 0;
const notify = () => { clearTimeout(waiting); waiting = setTimeout(() => trigger('input', { offer: offer() }), 60); };
element.addEventListener('input', (event) => {
  const part = event.target;
  if (part.matches('[data-slides], [type=number][data-issue]')) pair(part).value = part.value;
  if (part.matches('[data-slides], [data-issue]')) notify();
});
let sure = null; // the button that was pressed once and asks for confirmation
const calm = () => { if (sure) { sure.textContent = sure.dataset.was; sure = null; } };
element.addEventListener('click', (event) => {
  const act = event.target.closest('[data-do]');
  if (act !== sure) calm();
  if (!act || act.disabled) return;
  if (act.dataset.sure && act !== sure) {
    sure = act;
    act.dataset.was = act.textContent;
    act.textContent = act.dataset.sure;
    return;
  }
  calm();
  const doing = act.dataset.do;
  trigger('submit', { action: doing, offer: doing === 'offer' ? offer() : null, message: form().querySelector('[data-message]').value });
});
element.addEventListener('submit', (event) => event.preventDefault());
// A new negotiation starts with a fresh form, and every turn with an empty message.
let run = form()?.dataset.run;
let taken = form()?.dataset.taken;
watch('value', () => {
  const now = form();
  if (!now) { run = undefined; return; }
  if (now.dataset.run !== run) { now.reset(); notify(); }
  else if (now.dataset.taken !== taken) now.querySelector('[data-message]').value = '';
  ({ run, taken } = now.dataset);
});
