"""Fonts for pictures: Source Sans, which comes with Gradio, then what the system has, then Pillow's own.

Each character is drawn with the first font that has it, so that a scenario in any language is readable where the system
can write that language.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

import gradio
from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_OF_GRADIO = Path(gradio.__file__).parent / "templates" / "frontend" / "static" / "fonts" / "SourceSansPro"
_OF_THE_SYSTEM = {  # found by name, in the folders that the operating system has for fonts
    False: ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf"),
    True: ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "LiberationSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf"),
}
_OF_OTHER_SCRIPTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
)
_NOTHING = "\uffff"
"""Not a character, so every font draws its box for missing ones."""


@cache
def fonts(size: int, bold: bool) -> tuple[Font, ...]:
    """Return the fonts that were found, best first; the last is Pillow's own, which is always there."""
    name = "SourceSansPro-Bold.woff2" if bold else "SourceSansPro-Regular.woff2"
    wanted = (str(_OF_GRADIO / name), *_OF_THE_SYSTEM[bold], *_OF_OTHER_SCRIPTS)
    return (*filter(None, (_font(each, size) for each in wanted)), ImageFont.load_default(size))


def split(words: str, size: int, bold: bool) -> list[tuple[str, Font]]:
    """Return text in pieces, each with the font that can draw it."""
    return [("".join(piece), font) for font, piece in groupby(words, lambda char: font_of(char, size, bold))]


@lru_cache(maxsize=4096)
def font_of(char: str, size: int, bold: bool) -> Font:
    """Return the first font that has a character; if none has, the first of all, which draws a box."""
    found = fonts(size, bold)
    return next((font for font in found if char.isspace() or _has(font, char)), found[0])


def _has(font: Font, char: str) -> bool:
    drawn = font.getmask(char)
    return (drawn.size, bytes(drawn)) != _box(font)


@cache
def _box(font: Font) -> tuple[tuple[int, int], bytes]:
    box = font.getmask(_NOTHING)
    return box.size, bytes(box)


def _font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:  # not there, or not readable
        return None
