// Behaviour of the whole page. Runs once, when the header is shown; `element` is the header.
const root = document.documentElement;
const find = (id) => document.getElementById(id);

// Light, dark, or the system's choice.
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

// Opens a tab by its id and returns whether it exists. On narrow screens Gradio moves some tabs to a menu, by name only.
const names = JSON.parse(element.querySelector('[data-tab-names]').dataset.tabNames);
window.openTab = (id) => {
  const hidden = () => [...document.querySelectorAll('.overflow-dropdown button')].find((one) => one.textContent.trim() === names[id]);
  const button = find(`tab-${id}-button`) ?? hidden();
  button?.click();
  return Boolean(button);
};

// Scrolls a place into view, and keeps it there while the page is being filled, until the visitor scrolls, presses or
// types. `also` is done with it. Returns a signal for when that is over.
window.hold = (place, block, also = () => {}) => {
  const over = new AbortController();
  const show = () => { document.querySelector(place)?.scrollIntoView({ block }); also(); };
  const filling = new ResizeObserver(show);
  const leave = () => { filling.disconnect(); over.abort(); };
  for (const event of ['wheel', 'touchstart', 'pointerdown', 'keydown']) addEventListener(event, leave, { signal: over.signal, passive: true });
  filling.observe(document.body);
  setTimeout(leave, 10_000);
  return over.signal;
};

document.addEventListener('click', (event) => {
  const tab = event.target.closest('[data-tab]');
  if (tab) openTab(tab.dataset.tab);
});

// The tabs are one stop of the Tab key; the arrow keys move from one to the next. Nor does it stop at the scroll area of
// a pick list.
document.addEventListener('keydown', (event) => {
  const tab = event.target.closest('[role="tab"]');
  const tabs = [...document.querySelectorAll('#tabs [role="tablist"] [role="tab"]')];
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  const next = tab && tabs[tabs.indexOf(tab) + (steps[event.key] ?? NaN)];
  if (next) { event.preventDefault(); next.click(); next.focus(); }
  if (event.key !== 'Tab') return;
  for (const one of tabs) one.tabIndex = one.ariaSelected === 'true' ? 0 : -1;
  for (const list of document.querySelectorAll('[role="listbox"]')) {
    list.tabIndex = -1;
    list.parentElement.tabIndex = -1;
  }
}, true);

// Gradio 6 removes its loading screen without stopping that screen's clock, which then runs at every frame for as long
// as the page is open. Stops it: once nothing else asks for frames, the one request beside ours is the clock's.
let before = 0;
let alone = 0;
const count = () => {
  const mine = requestAnimationFrame(count);
  alone = mine - before === 2 ? alone + 1 : 0;
  before = mine;
  if (alone < 5) return;
  setTimeout(() => { for (const one of [mine - 1, mine, mine + 1]) cancelAnimationFrame(one); });
};
setTimeout(count, 3000);
