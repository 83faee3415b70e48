"""Backends: the ways to run a model. `base` is their interface; `local` and `remote` hold their parts."""
