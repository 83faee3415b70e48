"""Teach the embedded model to negotiate: data from self-play, fine-tuning, improvement by selection, evaluation."""
