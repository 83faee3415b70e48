"""Who may start what, and when: lanes, limits and rates."""
