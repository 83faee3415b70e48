"""The program as a whole: settings, logs, metrics, and how the parts are put together."""
