"""Paired negotiations that differ in one agent, mirrored seats, and votes."""
