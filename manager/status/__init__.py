"""What the manager shows: snapshots, numbered events, timelines and forecasts."""
