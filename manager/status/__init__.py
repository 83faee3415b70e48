"""Status snapshots, events, timelines and forecasts."""
