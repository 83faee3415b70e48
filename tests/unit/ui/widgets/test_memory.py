"""Stored choices come back as they were, and anything else that a browser sends is nothing."""

from __future__ import annotations

import pytest

from ui.widgets.memory import Memory


@pytest.mark.parametrize("value", [None, {"scenario": "night_train", "blind": True}, ["", "ü", False], 7])
def test_what_is_packed_is_unpacked(value: object) -> None:
    assert Memory.unpacked(Memory.packed(value)) == value


@pytest.mark.parametrize("stored", [None, "", "{", "U2FsdGVkX1+encrypted", {"already": "read"}, 3, "[" * 100_000])
def test_what_is_not_ours_is_nothing(stored: object) -> None:
    assert Memory.unpacked(stored) is None
