"""What every part of the page uses: texts, HTML, errors, the theme and downloads."""
