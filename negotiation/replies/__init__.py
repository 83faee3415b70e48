"""Which replies are legal now, as a grammar to write under and as a strict reader."""
