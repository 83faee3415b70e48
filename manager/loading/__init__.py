"""The one thread that loads and unloads weights, and downloads."""
