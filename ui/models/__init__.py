"""The Models tab: what is loaded, and the operator's actions."""
