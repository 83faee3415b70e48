"""The Tournament tab: set one up, watch it, and read its leaderboard."""
