"""From a request to a stream of text: sampling, grammars, chat templates, and the loop that runs a model.

Knows nothing of scheduling: whoever calls it holds a lease.
"""
