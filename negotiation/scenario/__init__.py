"""Scenarios: files, analysis of optimal outcomes, checks, and the GENIUS format."""
