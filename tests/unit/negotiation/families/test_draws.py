"""Draws: the same everywhere, within their bounds, and even."""

from __future__ import annotations

from collections import Counter

from negotiation.families.draws import Draws


def test_draws_are_these_whatever_the_machine_and_the_version_of_python() -> None:
    """Worked out with `printf 'a 7 1' | sha256sum` and so on: the last hexadecimal digit is the draw below 16."""
    draws = Draws("a", 7)
    assert [draws.below(16) for _ in range(3)] == [0xF, 0x9, 0x1]


def test_streams_with_different_keys_are_independent() -> None:
    first, second = ([Draws("a", key).below(1000) for key in (1, 2, 3)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


def test_every_number_between_the_bounds_is_drawn_about_equally_often() -> None:
    draws = Draws("even")
    counts = Counter(draws.between(1, 6) for _ in range(6000))
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    assert all(880 < count < 1120 for count in counts.values())  # standard deviation 29


def test_some_elements_keep_their_order_and_do_not_repeat() -> None:
    draws = Draws("some")
    for _ in range(50):
        found = draws.some("abcdef", 3)
        assert len(set(found)) == 3
        assert found == sorted(found)


def test_shuffling_keeps_all_elements_and_gives_each_order_about_equally_often() -> None:
    draws = Draws("orders")
    orders = Counter(tuple(draws.shuffled("abc")) for _ in range(6000))
    assert len(orders) == 6
    assert all(880 < count < 1120 for count in orders.values())
