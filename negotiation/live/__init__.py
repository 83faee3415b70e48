"""Negotiations that run now, and those who watch them."""
