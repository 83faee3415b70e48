"""Runs in dataset repositories of the Hugging Face Hub: the operator's journal, and what visitors contribute."""
