"""Running negotiations and their watchers."""
