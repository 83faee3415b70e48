"""Parts of `backends/openai.py`: how one talks to a server that is somebody else's."""
