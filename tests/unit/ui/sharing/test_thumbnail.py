"""The Space's thumbnail: what the front matter names is there, small, of the right size, and as it is drawn now."""

from __future__ import annotations

import io

import yaml
from PIL import Image, ImageChops, ImageStat

from ui.sharing.card import HEIGHT, WIDTH
from ui.sharing.thumbnail import PLACE, recorded, thumbnail_png

ROOT = PLACE.parents[1]
MOST_BYTES = 100_000


def test_the_front_matter_names_the_thumbnail() -> None:
    head = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
    address, _, path = head["thumbnail"].partition("/resolve/main/")
    assert address.startswith("https://huggingface.co/spaces/")
    assert ROOT / path == PLACE


def test_the_thumbnail_is_small_and_up_to_date() -> None:
    kept = PLACE.read_bytes()
    assert len(kept) < MOST_BYTES
    shown, drawn = (Image.open(io.BytesIO(png)) for png in (kept, thumbnail_png(recorded())))
    assert shown.size == drawn.size == (WIDTH, HEIGHT)
    difference = ImageStat.Stat(ImageChops.difference(shown.convert("RGB"), drawn.convert("RGB"))).mean
    assert max(difference) < 1, "draw it anew: python -m ui.sharing.thumbnail"
