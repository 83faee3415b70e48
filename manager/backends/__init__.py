"""Ways to run a model: `base` says what one must do, the others do it."""
