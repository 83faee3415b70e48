"""Stored negotiations: records, the database, exports and archives."""
