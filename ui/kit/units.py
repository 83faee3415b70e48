"""Numbers for people: points, bytes, time and money."""

from __future__ import annotations

from negotiation.figures.points import points as points


def in_points(utility: float) -> str:
    """Return a utility, or a difference of two, with its unit: "8 points"."""
    number = points(utility)
    return f"{number} point" if number in ("1", "-1") else f"{number} points"


def size(count: float) -> str:
    """Return a number of bytes in a decimal unit: "269 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}" if unit == "GB" else f"{count / factor:,.0f} {unit}"
    return f"{count / 1e3:,.0f} kB"


def seconds(value: float) -> str:
    """Return a span of time: "40 s" up to 90 s, then "4 min"."""
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"


def dollars(value: float) -> str:
    """Return a price, with cents, and to a millionth below one dollar."""
    if value >= 1:
        return f"${value:,.2f}"
    cents, rest = f"{value:.6f}"[:4], f"{value:.6f}"[4:]
    return f"${cents}{rest.rstrip('0')}"


def rough_dollars(value: float) -> str:
    """Return an amount of money with two digits that count: "$0.0031", "$0.12", "$4.50".

    >>> [rough_dollars(value) for value in (0.00312, 0.1249, 4.5, 0)]
    ['$0.0031', '$0.12', '$4.50', '$0.00']
    """
    if 0 < value < 0.1:
        return "$" + f"{float(f'{value:.2g}'):f}".rstrip("0")
    return f"${value:,.2f}"
