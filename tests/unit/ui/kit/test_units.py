"""Numbers read the same everywhere on the page."""

from __future__ import annotations

import pytest

from ui.kit.units import dollars, in_points, points, seconds, size


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (points(0.64), "64"),
        (points(1.0), "100"),
        (points(-0.084), "-8"),
        (points(-0.001), "0"),
        (points(0.405), "41"),
        (points(-0.405), "-41"),
        (in_points(0.08), "8 points"),
        (in_points(-0.01), "-1 point"),
        (size(269_000_000), "269 MB"),
        (size(8e9), "8.0 GB"),
        (seconds(40), "40 s"),
        (seconds(240), "4 min"),
        (dollars(0.0024), "$0.0024"),
        (dollars(0.6), "$0.60"),
        (dollars(0), "$0.00"),
        (dollars(12.5), "$12.50"),
    ],
)
def test_numbers_are_short(shown: str, expected: str) -> None:
    assert shown == expected
