"""Agents that play a role: models, scripted strategies and people."""
