"""The whole program: settings, logging, metrics, and how the parts fit together."""
