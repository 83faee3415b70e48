"""Turn requests into streams of text: sampling, grammars, chat templates, and the loop that runs a model."""
