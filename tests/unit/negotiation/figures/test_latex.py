"""Texts in LaTeX are printed as they are and do nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.figures.latex import LatexTable, comment, escaped, number
from tests.support.latex import check_text, rows_of


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("nice_tit_for_tat", r"nice\_tit\_for\_tat"),
        (r"50% & #1 \input{x} $y$", r"50\% \& \#1 \textbackslash{}input\{x\} \$y\$"),
        ("[2cm] * a^b~c", r"{[}2cm{]} {*} a\textasciicircum{}b\textasciitilde{}c"),
        ("two\nlines\r\n\x0band\u2028more", "two lines and more"),
        ("a - b--c---d", "a - b-{}-c-{}-{}-d"),
        ("Łódź, naïve Ærø", r"\L{}\'{o}d\'{z}, na\"{i}ve \AE{}r\o{}"),
        ("a\u0308 – “x” 5 €", r"\"{a} \textendash{} \textquotedblleft{}x\textquotedblright{} 5 \texteuro{}"),
        ("?“ -–– „,,", r"?\textquotedblleft{} -\textendash{}\textendash{} {},{},{},{},"),
        ("漢 🤝 \u202e \ud800 \x07", "U+6F22 U+1F91D U+202E U+D800 U+0007"),
    ],
)
def test_texts_are_escaped(text: str, latex: str) -> None:
    assert escaped(text) == latex


@given(st.text())
def test_any_text_is_harmless(text: str) -> None:
    check_text(escaped(text))
    assert comment(text).startswith("% ")
    assert len(comment(text).splitlines()) == 1


def test_a_table_has_rules_and_a_caption() -> None:
    table = LatexTable("tab:x", "What it shows.", "lr", [r"A & B \\"], [[["x", number("-3")]], [["y", "4"]]], "A note.")
    assert str(table) == "\n".join(
        [
            r"\begin{table}[htbp]",
            r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}",
            r"  \caption{What it shows.}",
            r"  \label{tab:x}",
            r"  \begin{tabular}{lr}",
            r"    \toprule",
            r"    A & B \\",
            r"    \midrule",
            r"    x & $-$3 \\",
            r"    \midrule",
            r"    y & 4 \\",
            r"    \bottomrule",
            r"  \end{tabular}",
            r"  \par\smallskip A note.",
            r"\end{table}",
        ]
    )
    assert rows_of(str(table)) == [["A", "B"], ["x", "$-$3"], ["y", "4"]]
