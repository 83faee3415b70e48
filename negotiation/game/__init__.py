"""Alternating offers as a pure state machine, with its events and measures."""
