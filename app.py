"""The page, as Hugging Face Spaces and `make run` start it; `parley serve` starts the same."""

from ui.serve import serve

if __name__ == "__main__":
    serve()
