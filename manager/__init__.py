"""Models: which there are, which are loaded, who uses them. Knows nothing of negotiation or of Gradio."""
