"""A picture to draw on: text that fits, lines, dots and panels, smooth because it is drawn at twice its size."""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from PIL import Image, ImageDraw

from ui.kit.templates import without_directions
from ui.sharing.fonts import split

SCALE = 2
COLOURS = 128
"""Enough for flat colours with smooth edges, at a third of the bytes of a picture in full colour."""
Pair = tuple[float, float]
Sides = tuple[float, float, float, float]
Anchor = Literal["left", "middle", "right"]


class Canvas:
    """A picture in the making. Places and sizes are in its pixels; y is the baseline of text."""

    def __init__(self, width: int, height: int, ground: str) -> None:
        self._size = width, height
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), ground)
        self._draw = ImageDraw.Draw(self._image)

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        written = io.BytesIO()
        small = self._image.resize(self._size, Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        return written.getvalue()

    def text(
        self, at: Pair, words: str, size: int, colour: str, *, bold: bool = False, anchor: Anchor = "left"
    ) -> float:
        """Write one line and return where it ends."""
        words = clean(words)
        long = width_of(words, size, bold)
        x = at[0] - {"left": 0.0, "middle": long / 2, "right": long}[anchor]
        end = x + long
        for piece, font in split(words, size * SCALE, bold):
            self._draw.text((x * SCALE, at[1] * SCALE), piece, fill=colour, font=font, anchor="ls")
            x += font.getlength(piece) / SCALE
        return end

    def paragraph(
        self, at: Pair, words: str, size: int, colour: str, *, width: float, lines: int, bold: bool = False
    ) -> float:
        """Write text in at most `lines` lines, the rest as an ellipsis, and return the baseline after it."""
        x, y = at
        for line in wrapped(words, size, width, lines, bold):
            self.text((x, y), line, size, colour, bold=bold)
            y += size * 1.25
        return y

    def turned(self, at: Pair, words: str, size: int, colour: str) -> None:
        """Write one line upwards, centred on a place."""
        words, long = clean(words), width_of(words, size)
        strip = Canvas(math.ceil(long) + 2, round(size * 1.4), "#000000")
        strip.text((1, size), words, size, "#ffffff")
        mask = strip._image.convert("L").rotate(90, expand=True)
        corner = round(at[0] * SCALE - mask.width / 2), round(at[1] * SCALE - mask.height / 2)
        self._image.paste(Image.new("RGB", mask.size, colour), corner, mask)

    def panel(
        self, box: tuple[float, float, float, float], fill: str, edge: str | None = None, *, round_by: int
    ) -> None:
        """Draw a rectangle with round corners: left, top, right, bottom."""
        self._draw.rounded_rectangle(
            [value * SCALE for value in box], radius=round_by * SCALE, fill=fill, outline=edge, width=SCALE
        )

    def line(self, points: Sequence[Pair], colour: str, width: float, dashes: Pair | None = None) -> None:
        """Draw a line through points; `dashes` are the lengths of a stroke and of a gap."""
        pieces = [list(points)] if dashes is None else _dashed(points, *dashes)
        for piece in pieces:
            self._draw.line(_scaled(piece), fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, at: Pair, radius: float, fill: str | None, edge: str | None = None, width: float = 2) -> None:
        """Draw a circle."""
        self._draw.ellipse(self._around(at, radius), fill=fill, outline=edge, width=round(width * SCALE))

    def square(self, at: Pair, radius: float, fill: str) -> None:
        """Draw a square."""
        self._draw.rectangle(self._around(at, radius), fill=fill)

    def shape(self, corners: Iterable[Pair], fill: str | None, edge: str, width: float = 2) -> None:
        """Draw a polygon."""
        self._draw.polygon(_scaled(corners), fill=fill, outline=edge, width=round(width * SCALE))

    @staticmethod
    def _around(at: Pair, radius: float) -> list[float]:
        x, y = at
        return [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE]


def clean(words: str) -> str:
    """Return text as one line, without characters that control how other text is shown."""
    plain = str(without_directions(" ".join(words.split())))
    return "".join(char for char in plain if unicodedata.category(char) not in ("Cc", "Cs"))


def width_of(words: str, size: int, bold: bool = False) -> float:
    """Return the width of a line of clean text."""
    return sum(font.getlength(piece) for piece, font in split(words, size * SCALE, bold)) / SCALE


def fitted(words: str, size: int, width: float, bold: bool = False) -> str:
    """Return the beginning of a text that fits a width, with an ellipsis where it was cut."""
    words = clean(words)
    if width_of(words, size, bold) <= width:
        return words
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if width_of(words[:middle].rstrip() + "…", size, bold) <= width else (low, middle - 1)
        )
    return words[:low].rstrip() + "…"


def wrapped(words: str, size: int, width: float, lines: int, bold: bool = False) -> list[str]:
    """Return a text broken into at most `lines` lines; the last ends in an ellipsis if the text is longer."""
    found: list[str] = []
    rest = clean(words).split(" ")
    while rest and len(found) < lines - 1:
        count = 1
        while count < len(rest) and width_of(" ".join(rest[: count + 1]), size, bold) <= width:
            count += 1
        found.append(fitted(" ".join(rest[:count]), size, width, bold))
        rest = rest[count:]
    return [*found, fitted(" ".join(rest), size, width, bold)] if rest else found


def _scaled(points: Iterable[Pair]) -> list[Pair]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _dashed(points: Sequence[Pair], stroke: float, gap: float) -> list[list[Pair]]:
    """Return the strokes of a dashed line."""
    strokes: list[list[Pair]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        long, at = math.hypot(x1 - x0, y1 - y0), 0.0
        while at < long:
            start, end = at / long, min(at + stroke, long) / long
            strokes.append([(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in (start, end)])
            at += stroke + gap
    return strokes
