"""This computer: its memory and processors, this process, and the places of model files."""
