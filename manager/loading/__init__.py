"""Load and unload weights on one thread, and download models."""
