"""Tables for papers in LaTeX, with booktabs. Any text may stand in them: it is escaped and cannot become a command."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "'": "'{}",
    '"': r"\char34{}",  # with babel, a bare one may begin a command
    "[": "{[}",  # after the end of a row, [ and * would be read as options of the line break
    "]": "{]}",
    "*": "{*}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "„": "{},{},{}",  # the default font encoding has no such character
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "€": r"\texteuro{}",
    "£": r"\pounds{}",
    "§": r"\S{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_LIGATURES = {("-", "-"), (",", ",")}
"""What would become one character: a dash, and a quotation mark in the font encoding T1."""
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING CEDILLA}": "c",
}


@dataclass(frozen=True)
class LatexTable:
    """A table. Its texts are LaTeX source, so pass text from elsewhere through `escaped` first.

    Args:
        label: The name to refer to it by.
        caption: What it shows.
        columns: The alignment of each column, such as "lrr".
        head: The lines above the rule, without the ends of lines.
        groups: Rows of cells; a rule parts groups.
        note: A text below the table.
    """

    label: str
    caption: str
    columns: str
    head: Sequence[str]
    groups: Sequence[Sequence[Sequence[str]]]
    note: str = ""

    def __str__(self) -> str:
        lines = [
            r"\begin{table}[htbp]",
            r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}",
            f"  \\caption{{{self.caption}}}",
            f"  \\label{{{self.label}}}",
            f"  \\begin{{tabular}}{{{self.columns}}}",
            r"    \toprule",
            *(f"    {line}" for line in self.head),
        ]
        for group in self.groups:
            lines.append(r"    \midrule")
            lines += [f"    {row_of(cells)}" for cells in group]
        lines += [r"    \bottomrule", r"  \end{tabular}"]
        lines += [f"  \\par\\smallskip {self.note}"] if self.note else []
        return "\n".join([*lines, r"\end{table}"])


def row_of(cells: Iterable[str]) -> str:
    """Return cells as a row."""
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Return a text on one line as LaTeX that prints it, with any engine and font encoding.

    Characters that LaTeX's default fonts lack are written as code points (U+4E2D).
    """
    line = " ".join(unicodedata.normalize("NFC", text).split())
    apart = ("{}" if pair in _LIGATURES else "" for pair in pairwise(f"{line} "))
    return "".join(_character(character) + after for character, after in zip(line, apart, strict=True))


def number(text: str) -> str:
    """Return a number with a minus instead of a hyphen."""
    return text.replace("-", "$-$")


def comment(text: str) -> str:
    """Return a text as a line that LaTeX skips."""
    return f"% {' '.join(text.split())}"


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character == " " or (character.isascii() and character.isprintable()):
        return character
    parts = unicodedata.normalize("NFD", character)
    letter, accent = parts[0], parts[1:]
    if letter.isascii() and letter.isalpha() and accent in _ACCENTS:
        return f"\\{_ACCENTS[accent]}{{{letter}}}"
    return f"U+{ord(character):04X}"
