"""Negotiations: scenarios, protocol, agents, sessions, storage. Knows no Gradio and no torch."""

__version__ = "0.1.0"
