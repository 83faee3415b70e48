"""Calculations that a message states, and whether their results are right.

Sums, differences, products, quotients, shares and percentages, midpoints, steps "from a to b", distances between the
offers, and parts that must add up to what is divided. A result counts as right if it is right to its last digit, or
within 5 % after "about".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

from negotiation.behaviour.said import Said
from negotiation.replies.amounts import whose
from negotiation.replies.words import shown
from negotiation.scenario.issue import Value
from negotiation.scenario.model import Seat

ROUGH = 0.05
_UNIT = r"(?: ?(?:%|percent)| (?!(?:and|at|are|by|is|leaves?|less|minus|more|of|plus|times|to|x)\b)[a-z³/]+){0,2}"
_IS = (
    r"(?:,? (?:that |which )?(?:adds? up to|amounts? to|are|comes? to|equals?|gives?|is|leaves?|makes?|would be)|"
    r" ?=|:|,)"
)
_ABOUT = r"(?P<about> (?:about|roughly|around|nearly|almost|some|over|up to))?(?: only| just| a step of| another)?"
_SHARES = {"half": 2, "a quarter": 4, "a third": 3, "a tenth": 10}


def _n(name: str) -> str:
    return rf"(?:your |my |our |the |their |\()?[€$£]?(?P<{name}>\d+(?:\.\d+)?)(?![\d.]*\d)"


A, B, C = (f"{_n(name)}{_UNIT}" for name in "abc")
_RESULT = rf"{_IS}{_ABOUT} {_n('c')}"
_COUNTED = "months?|days?|weeks?|years?|nights?|tonnes|sacks?|books?|packs?|hours?|pieces|units"
_FEW = r"(?:[a-z']+ ){0,4}?"
_MOVED = "moved|raised|lowered|dropped|up|down|by"
Numbers = Mapping[str, float]
_RULES: tuple[tuple[re.Pattern[str], Callable[[Numbers], float]], ...] = tuple(
    (re.compile(pattern), result)
    for pattern, result in (
        (rf"{A} (?:\+|plus) {_n('b')}(?: more)?{_UNIT}{_RESULT}", lambda n: n["a"] + n["b"]),
        (rf"{A} (?:-|−|–|minus) {B}{_RESULT}", lambda n: n["a"] - n["b"]),
        (rf"{A} (?:x|×|\*|times) {B}{_RESULT}", lambda n: n["a"] * n["b"]),
        (rf"\({_n('a')} ?\+ ?{_n('b')}\) ?/ ?2{_RESULT}", lambda n: (n["a"] + n["b"]) / 2),
        (rf"{_n('a')} ?/ ?{_n('b')}{_RESULT}", lambda n: n["a"] / n["b"] if n["b"] else math.nan),
        (rf"{_n('a')} ?(?:%|percent) of (?:an? \w+ of )?{B}{_RESULT}", lambda n: n["a"] / 100 * n["b"]),
        (rf"\b(?P<share>half|a quarter|a third|a tenth) of {B}{_RESULT}", lambda n: n["b"] / n["share"]),
        (rf"\b(?:half-?way|midpoint|middle|mean|average) (?:between |of ){A} and {B}{_RESULT}", lambda n: _mean(n)),
        (rf"\bsplit (?:the difference )?(?:between |of )?{A} and {B}{_RESULT}", lambda n: _mean(n)),
        (
            rf"{_n('a')} (?:{_COUNTED})(?: of [a-z ]+?)? at {_n('b')}(?: [a-z]+){{0,5}}{_RESULT}",
            lambda n: n["a"] * n["b"],
        ),
        (
            rf"\bover {_n('a')} (?:{_COUNTED}),? {_n('b')} (?:a|per|each) (?:{_COUNTED}){_RESULT}",
            lambda n: n["a"] * n["b"],
        ),
        (rf"\bat {_n('b')} (?:a|per) \w+ over {_n('a')} \w+,?{_RESULT}", lambda n: n["a"] * n["b"]),
        (
            rf"{_n('a')}(?: [a-z]+)? (?:a|per) year{_IS}{_ABOUT} {_n('c')}(?: [a-z]+)? (?:a|per) month",
            lambda n: n["a"] / 12,
        ),
        (rf"\b(?:by|off)(?: only)? {_n('c')}[a-z ]*,? from {A} to {_n('b')}", lambda n: abs(n["a"] - n["b"])),
        (rf"\b(?:{_MOVED})(?: only)? {C} from {_FEW}{A} to {_FEW}{_n('b')}", lambda n: abs(n["a"] - n["b"])),
        (rf"{A} and {_FEW}{B},?(?: that is| makes)? {C} ?(?:in all|in total|altogether)", lambda n: n["a"] + n["b"]),
    )
)
"""Each pattern names its numbers a and b, and the stated result c; the function gives what c should be."""
_STEP = r"(?:less|more|step|off|down|up|points|lower|higher|euros?|dollars?)"
_FROM_TO = re.compile(rf"\bfrom {A} to {B}{_IS}{_ABOUT} {_n('c')} ?(?P<percent>%|percent)?(?=[^.;]*\b{_STEP}\b|$|,)")
_STEP_OF = re.compile(rf"\bfrom {A} to {B},? (?:that )?is a step of {_n('c')}")
_OF_BOTH = re.compile(
    r"\b(?:(?P<middle>the (?:exact )?(?:middle|midpoint|mean)(?: is| would be))|"
    rf"(?P<half>half (?:of )?(?:the|that) difference is)|(?P<whole>the difference is)) {_n('c')}"
)
_APART = re.compile(
    rf"(?:\b(?P<were>were) )?(?:only )?{C} apart\b|"
    rf"\b(?:gap|distance)(?: between us)? (?:is|was) (?:only |now |still )?{_n('d')}"
)
_LESS_THAN = re.compile(
    rf"\b(?:that is|i am|we are|which is) {C} (?:less|more|lower|higher|below|above) than (?:my|our) "
    r"(?:[a-z]+ )+?(?:of )?"
    rf"{_n('a')}"
)
_BEFORE = re.compile(r"\b(?:began|started|first)\b")
_ALL = re.compile(rf"\bof the {_n('t')} \w+|{_n('u')} \w+ in all")
_PART = re.compile(
    r"\b(?P<who>you|i|we) (?:get|take|keep|have) (?P<n>\d+)\b(?! of)|\b(?P<m>\d+) for (?P<whom>you|me|us)\b"
)
_PERCENT = re.compile(r"(\d+)(?: ?%| percent\b)?(?= for (?:you|me|us)\b| for the)")


def wrong_arithmetic(said: Said) -> list[str]:
    """Return the wrong calculations of a message, each with the right result."""
    found: list[str] = []
    before: list[float] = []
    for part in said.sentences:
        for clause in part.text.split("; "):
            found += [*_calculated(clause), *_steps(clause), *_between(clause, before)]
            found += [*_apart(said, clause), *_parts(said, clause)]
            before += _numbers(clause)
    return list(dict.fromkeys(found))


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text)]


def _mean(numbers: Numbers) -> float:
    return (numbers["a"] + numbers["b"]) / 2


def _calculated(clause: str) -> Iterator[str]:
    for pattern, result in _RULES:
        for match in pattern.finditer(clause):
            groups = match.groupdict()
            numbers = {name: float(groups[name]) for name in ("a", "b", "c") if groups.get(name)}
            if groups.get("share"):
                numbers["share"] = _SHARES[groups["share"]]
            yield from _checked(result(numbers), numbers["c"], rough=bool(groups.get("about")), words=match[0])


def _steps(clause: str) -> Iterator[str]:
    match = _STEP_OF.search(clause) or _FROM_TO.search(clause)
    if match is None or re.search(r"\bby\b", clause[: match.start()]):
        return
    before, after, stated = float(match["a"]), float(match["b"]), float(match["c"])
    percent = match.groupdict().get("percent")
    right = abs(before - after)
    if percent and not re.search(r"percent|%", clause[match.start("a") : match.start("c")]):
        right = 100 * right / before if before else right
    if stated not in (before, after):
        yield from _checked(right, stated, rough=bool(match.groupdict().get("about")), words=match[0])


def _between(clause: str, before: list[float]) -> Iterator[str]:
    """Yield wrong middles and differences of the two numbers that were named last."""
    if match := _OF_BOTH.search(clause):
        named = before + _numbers(clause[: match.start()])
        if len(named) >= 2:
            one, two = named[-2:]
            right = (one + two) / 2 if match["middle"] else abs(one - two) / (2 if match["half"] else 1)
            yield from _checked(right, float(match["c"]), rough=False, words=match[0])


def _apart(said: Said, clause: str) -> Iterator[str]:
    """Yield wrong distances between the offers of both sides, or from the side's own, in the only number or price."""
    numeric = [name for name, issue in said.scenario.issues.items() if issue.range is not None]
    money = [name for name in numeric if re.search(r"[€$£]", said.scenario.issues[name].unit)]
    issue = numeric[0] if len(numeric) == 1 else money[0] if len(money) == 1 else None
    if issue is None or said.offer is None:
        return
    own = int(said.offer[issue])
    if match := _LESS_THAN.search(clause):
        yield from _checked(abs(float(match["a"]) - own), float(match["c"]), rough=False, words=match[0])
    match = _APART.search(clause)
    if match and said.table is not None and not _BEFORE.search(clause):
        other, last = int(said.table[issue]), int((said.last or said.offer)[issue])
        now, before = abs(own - other), abs(last - other)
        right = {before} if match["were"] else {now} if match["d"] else {now, before}
        if float(match["c"] or match["d"]) not in right:
            yield f"{match[0]}: {shown(min(right))} is right"


def _parts(said: Said, clause: str) -> Iterator[str]:
    """Yield parts of both sides that do not add up to what is divided."""
    total = _ALL.search(clause)
    parts = {(m["who"] or m["whom"]) == "you": float(m["n"] or m["m"]) for m in _PART.finditer(clause)}
    if total is not None and len(parts) == 2:
        yield from _checked(float(total["t"] or total["u"]), sum(parts.values()), rough=False, words=clause)
        return
    shares: dict[str, dict[Seat, frozenset[Value]]] = {}
    for mention in said.vocabulary.values_in(clause, said.seat):
        owner = whose(clause, mention.start, mention.end, said.seat)
        if owner is not None and said.scenario.issues[mention.issue].split:
            shares.setdefault(mention.issue, {})[owner] = mention.values
    for issue, sides in shares.items():
        if len(sides) == 2 and not sides["a"] & sides["b"]:
            kind = said.scenario.issues[issue]
            yield f"{kind.title or issue}: the parts do not add up to {kind.choices[-1]}"
    percents = {whose(clause, m.start(), m.end(), said.seat): float(m[1]) for m in _PERCENT.finditer(clause)}
    if len(percents) == 2 and None not in percents and re.search(r"percent|%", clause):
        yield from _checked(100.0, sum(percents.values()), rough=False, words=clause)


def _checked(right: float, stated: float, *, rough: bool, words: str) -> Iterator[str]:
    slack = ROUGH * abs(right) if rough else 0.5 if right != int(right) and stated == int(stated) else 0.005
    if abs(right - stated) > slack:
        yield f"{words.strip()}: {shown(round(right, 2))} is right"
