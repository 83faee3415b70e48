"""A strict reader of the LaTeX tables that Parley writes: no command may be in them that Parley did not write."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[{}&$#%^_~\n]|[^\\{}&$#%^_~\n]+", re.DOTALL)
SYMBOL = re.compile(
    r"\\(?:text(?:backslash|ascii(?:tilde|circum|grave)|less|greater|bar|euro|e[mn]dash|quote(?:dbl)?(?:left|right))|char|pounds|ldots|emph|S|ss|[loi]|[LO]|[ao]e|[AO]E)"
)
ESCAPED = {f"\\{character}" for character in "{}$&#%_`'^~\"=.uvHrc,"}
MATHS = re.compile(r"\$(?:-|\\cdot|\\times)\$")
LAYOUT = re.compile(r"\\multicolumn\{2\}\{c\}|\\cmidrule\(lr\)\{\d-\d\}|\\(?:toprule|midrule|bottomrule)\b")


def check_text(text: str) -> None:
    """Check that a text is harmless: balanced, without line ends, and with no command but those of symbols."""
    depth = 0
    for token in TOKEN.findall(MATHS.sub("", text)):
        known = token in ESCAPED or SYMBOL.fullmatch(token) if token[0] == "\\" else token not in "&$#%^_~\n"
        assert known, f"{token!r} in {text!r}"
        depth += (token == "{") - (token == "}")
        assert depth >= 0, text
    assert depth == 0, text
    assert text.isascii()


def rows_of(table: str) -> list[list[str]]:
    """Return the cells of a table's rows, each checked; the head is the first."""
    body = table.partition("\\toprule\n")[2].partition("\\bottomrule")[0]
    rows = []
    for line in filter(None, (LAYOUT.sub("", line).strip() for line in body.splitlines())):
        assert line.endswith(r" \\")
        assert line[0] not in "[*", "would be read as an option of the line break before"
        cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
        for cell in cells:
            check_text(cell)
        rows.append([cell.strip() for cell in cells])
    return rows
