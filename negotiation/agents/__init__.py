"""Whoever plays a role: a model, a scripted strategy, or a person."""
