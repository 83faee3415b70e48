"""Read models.yaml, strictly, into the registry of models."""
