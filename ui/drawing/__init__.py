"""From values to HTML and SVG: lanes, turns, outcome spaces, charts and the status strip."""
