"""What the model manager did recently, drawn as spans of time: downloads, loads, waits, unloads and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from manager.status.snapshot import Entry
from ui.kit import text
from ui.kit.errors import plain
from ui.kit.templates import element, render
from ui.kit.units import seconds, size

WIDTH, ROW, LEFT, TOP = 900, 30, 190, 8
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 1800.0
TICKS = (10, 30, 60, 120, 300, 600)
"""Seconds between the lines of the time axis; the first that gives at most `MOST_TICKS` lines is used."""
MOST_TICKS = 8
MOST_LINES = 15
NAME_LETTERS = 26


def timeline_html(entries: Sequence[Entry], now: float, labels: Mapping[str, str]) -> Markup:
    """Draw the spans of the last half hour, one row per set of weights.

    Args:
        now: The present, in seconds since the epoch.
        labels: The models' display names, by id.
    """
    recent = [entry for entry in entries if (entry.ended or now) >= now - LONGEST_SECONDS]
    if not recent:
        return render("empty", words=text.TIMELINE_EMPTY)
    start = max(now - LONGEST_SECONDS, min(now - SHORTEST_SECONDS, min(entry.begun for entry in recent)))
    names = {entry.weights: _name(entry, labels) for entry in recent}
    height = TOP + ROW * len(names) + 26
    parts = _axis(start, now, height)
    for place, (weights, name) in enumerate(names.items()):
        y = TOP + ROW * place
        short = name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
        parts.append(
            element("text", "row", element("title", "", name), short, x=LEFT - 10, y=y + 19, text_anchor="end")
        )
        # Waits are thin and lie under the work that ends them.
        own = [entry for entry in recent if entry.weights == weights]
        parts += [_span(entry, start, now, y) for entry in sorted(own, key=lambda entry: entry.kind != "wait")]
    title, view = element("title", "", text.TIMELINE), f"0 0 {WIDTH} {height}"
    return render(
        "timeline",
        plot=element("svg", "timeline", title, *parts, viewBox=view, role="img", aria_label=text.TIMELINE),
        kinds=dict.fromkeys(entry.kind for entry in recent),
        lines=[_words(entry, now, names[entry.weights]) for entry in recent[-MOST_LINES:][::-1]],
    )


def _x(moment: float, start: float, now: float) -> float:
    return round(LEFT + max(0.0, moment - start) / (now - start) * (WIDTH - LEFT - 8), 1)


def _axis(start: float, now: float, height: int) -> list[Markup]:
    step = next((step for step in TICKS if (now - start) / step <= MOST_TICKS), TICKS[-1])
    parts = []
    for number in range(int((now - start) // step) + 1):
        x = _x(now - number * step, start, now)
        words, anchor = (text.AGO.format(time=seconds(number * step)), "middle") if number else (text.NOW, "end")
        parts.append(element("line", "grid", x1=x, x2=x, y1=TOP, y2=height - 22))
        parts.append(element("text", "tick", words, x=x, y=height - 6, text_anchor=anchor))
    return parts


def _span(entry: Entry, start: float, now: float, y: int) -> Markup:
    x0, x1 = _x(entry.begun, start, now), _x(entry.ended or now, start, now)
    hint = element("title", "", _words(entry, now, ""))
    if entry.kind == "failure":
        return element("path", "span failure", hint, d=f"M{x0 - 5} {y + 10}l10 10m0 -10l-10 10")
    thin = entry.kind == "wait"
    place = {"x": x0, "y": y + (22 if thin else 6), "height": 5 if thin else 15, "rx": 2}
    look = f"span {entry.kind}" + (" open" if entry.ended is None else "")
    return element("rect", look, hint, width=max(2.0, round(x1 - x0, 1)), **place)


def _name(entry: Entry, labels: Mapping[str, str]) -> str:
    return ", ".join(labels.get(model_id, model_id) for model_id in entry.model_ids) or entry.weights


def _words(entry: Entry, now: float, name: str) -> str:
    """Describe a span."""
    parts = [name, text.SPANS[entry.kind]] if name else [text.SPANS[entry.kind]]
    if entry.kind != "failure":
        form = text.GOES_ON if entry.ended is None else text.TOOK
        parts.append(form.format(time=f"{(entry.ended or now) - entry.begun:.1f} s"))
    if entry.bytes and entry.kind != "wait":
        parts.append(size(entry.bytes))
    parts += [words for words in (plain(entry.reason), entry.outcome) if words]
    return " · ".join(parts)
