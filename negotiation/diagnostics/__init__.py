"""Measure how an agent behaves: anchoring on the prompt, attacks, and missed chances."""
