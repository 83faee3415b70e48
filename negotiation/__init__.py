"""Negotiations: scenarios, protocol, agents, sessions, storage. Knows no Gradio and no torch."""
