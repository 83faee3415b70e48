"""The History tab: stored runs and their replay."""
