"""The commands of the command line, a module for each family; `cli.py` puts them together."""
