"""Shared by all of the page: texts, templates, units, errors, the theme and downloads."""
