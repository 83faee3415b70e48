"""Shared by the tests of backends, some of which read weights."""

from __future__ import annotations

import pytest

from manager.generation.forward import packed


@pytest.fixture(autouse=True)
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave layers in float32 as they are, whatever the processor likes: packed weights cannot be read back."""
    monkeypatch.setattr(packed, "_is_faster", lambda: False)
