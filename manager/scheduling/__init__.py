"""Decide which request gets which weights, and when: a pure state machine without threads, clocks or torch."""
