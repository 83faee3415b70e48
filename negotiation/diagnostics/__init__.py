"""How an agent behaves: anchoring on the prompt, habits, attacks, and missed chances."""
