"""The Play tab: a person negotiates against an agent."""
