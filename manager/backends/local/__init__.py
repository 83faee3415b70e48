"""Local models from their files to weights in memory, used by `backends/huggingface.py`."""
