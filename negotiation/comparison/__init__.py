"""Comparisons of two agents by paired negotiations, and by votes."""
