// Goes to Hugging Face, to be asked for a permission, and comes back to this address with the place of the run.
() => {
  const back = new URL(location.href);
  back.searchParams.set('contribute', 'PLACE');
  // On huggingface.co the page is in a frame that does not scroll, but the Hub's page in it must.
  window.parent?.postMessage({ type: 'SET_SCROLLING', enabled: true }, '*');
  location.assign(`/login/huggingface?_target_url=${encodeURIComponent(back.pathname + back.search)}`);
}
