"""Requests: who is visiting, who is the operator, and which addresses are open."""
