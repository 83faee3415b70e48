// A <details class="menu"> closes on Escape and when the focus or a press goes elsewhere.
const menu = () => element.querySelector('details.menu');
document.addEventListener('pointerdown', (event) => { if (!element.contains(event.target)) menu().open = false; });
element.addEventListener('focusout', (event) => { if (!element.contains(event.relatedTarget)) menu().open = false; });
element.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !menu().open) return;
  menu().open = false;
  menu().querySelector('summary').focus();
});
