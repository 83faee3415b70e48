// What the page does by itself in the browser. Runs once, when the header is shown; the header's texts are in `element`.
const root = document.documentElement;
const find = (id) => document.getElementById(id);

// Light, dark, or as the system has it.
const THEME = 'parley-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const button = element.querySelector('[data-theme-button]');
const showTheme = () => {
  const wanted = localStorage.getItem(THEME) ?? 'auto';
  const dark = wanted === 'dark' || (wanted === 'auto' && system.matches);
  document.body.classList.toggle('dark', dark);
  root.style.colorScheme = dark ? 'dark' : 'light';
  for (const name of button.querySelectorAll('[data-theme]')) name.hidden = name.dataset.theme !== wanted;
};
button.addEventListener('click', () => {
  const order = ['auto', 'light', 'dark'];
  const next = order[(order.indexOf(localStorage.getItem(THEME) ?? 'auto') + 1) % order.length];
  localStorage.setItem(THEME, next);
  showTheme();
});
system.addEventListener('change', showTheme);
if (!new URLSearchParams(location.search).has('__theme')) showTheme();

// Opens a tab by its id; whether it is there. Where there is little room Gradio hides some in a menu, by name alone.
const names = JSON.parse(element.querySelector('[data-tab-names]').dataset.tabNames);
window.openTab = (id) => {
  const hidden = () => [...document.querySelectorAll('.overflow-dropdown button')].find((one) => one.textContent.trim() === names[id]);
  const button = find(`tab-${id}-button`) ?? hidden();
  button?.click();
  return Boolean(button);
};

document.addEventListener('click', async (event) => {
  const tab = event.target.closest('[data-tab]');
  if (tab) openTab(tab.dataset.tab);
  const copy = event.target.closest('[data-copy]');
  if (copy) {
    await navigator.clipboard?.writeText(new URL(copy.dataset.copy, location.href).href);
    copy.textContent = copy.dataset.done;
  }
});

// A pick list that scrolls would be a stop of its own for the Tab key.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Tab') return;
  for (const list of document.querySelectorAll('[role="listbox"]')) {
    list.tabIndex = -1;
    list.parentElement.tabIndex = -1;
  }
}, true);

// Say when the server does not answer, and start afresh when another one does.
const offline = element.querySelector('[data-offline]');
const ask = async () => {
  const answer = await fetch(new URL('gradio_api/app_id', document.baseURI), { cache: 'no-store', signal: AbortSignal.timeout(8000) });
  return (await answer.json()).app_id;
};
let serving = null;
let misses = 0;
setInterval(async () => {
  if (document.hidden) return;
  try {
    const id = await ask();
    if (serving !== null && id !== serving) location.reload();
    serving = id;
    misses = 0;
  } catch {
    misses += 1;
  }
  offline.hidden = misses < 2;
}, 2500);
