"""What leaves the page: a run as a picture, as a text, and as a link that shows what it leads to."""
