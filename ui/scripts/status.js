// Asks for the status of the models: when the server says, and soon after a press. Shows when the server stops
// responding, and reloads the page once a restarted one does.
let process = null;
let seen = '';
let misses = 0;
let waiting = 0;
const wait = (seconds) => { clearTimeout(waiting); waiting = setTimeout(ask, 1000 * seconds); };
const ask = async () => {
  let again = 2.5;
  if (!document.hidden) {
    try {
      const address = new URL(`status?seen=${seen}`, document.baseURI);
      const now = await (await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(8000) })).json();
      if (process !== null && now.process !== process) location.reload();
      if (now.strip !== null) props.value = now.strip;
      if (now.strip !== null || now.again < 1) window.dispatchEvent(new Event('parley-status'));
      ({ process, seen, again } = now);
      misses = 0;
    } catch {
      misses += 1;
    }
    document.querySelector('[data-offline]').hidden = misses < 2;
  }
  wait(again);
};
document.addEventListener('click', () => wait(0.3));
document.addEventListener('visibilitychange', () => wait(0));
wait(0.5);
