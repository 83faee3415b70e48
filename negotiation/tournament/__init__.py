"""Many agents over many scenarios: plans, games, and leaderboards."""
