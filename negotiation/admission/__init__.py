"""Admission control: lanes, the queue for them, and limits on rates and sizes."""
