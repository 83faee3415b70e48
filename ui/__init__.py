"""The page: turns events into component updates. Holds no negotiation logic."""
