"""The legal replies, as a grammar to generate them and a strict reader."""
