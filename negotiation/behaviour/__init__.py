"""How agents bargain, measured against the truth: Parley knows every utility, so no judge is needed."""
