"""Components that several tabs share: pickers, lanes, and following a run."""
