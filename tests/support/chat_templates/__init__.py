"""Chat templates written for the tests, each with the peculiarities of one family of models."""
