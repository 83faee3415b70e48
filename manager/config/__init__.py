"""models.yaml: the registry of models, and strict reading of YAML files."""
