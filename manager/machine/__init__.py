"""This computer: its memory and processors, this process, and where model files are."""
