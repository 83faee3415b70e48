"""Statistics that know nothing of negotiation."""
