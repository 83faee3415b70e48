"""Stored negotiations: their codec, the database, exports and archives."""
