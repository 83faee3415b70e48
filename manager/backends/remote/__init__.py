"""The protocol of remote, OpenAI-compatible servers, used by `backends/openai.py`."""
