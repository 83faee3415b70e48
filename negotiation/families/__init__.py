"""Scenario families: generators that draw scenarios of a kind from a seed. Knows no agents and no games."""
