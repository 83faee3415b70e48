"""Calculations that a message states, and whether their results are right.

Sums, differences, products, quotients, shares and percentages, midpoints, steps "from a to b", distances between the
offers, and parts that must add up to what is divided. A result counts as right if it is right to its last digit, or
within 5 % after "about".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from negotiation.behaviour.said import Said
from negotiation.replies.vocabulary import whose
from negotiation.replies.words import shown

ROUGH = 0.05
_UNIT = r"(?: ?(?:%|percent)| (?!and\b|minus\b|plus\b|times\b|to\b|is\b|are\b|of\b|at\b|by\b|x\b|less\b|more\b|leaves?\b)[a-z³/]+){0,2}"
_IS = r"(?:,? (?:that |which )?(?:is|are|makes?|gives?|equals?|leaves?|comes? to|adds? up to|adds up to|would be|amounts? to)| ?=|:|,)"
_ABOUT = r"(?P<about> (?:about|roughly|around|nearly|almost|some|over|up to))?(?: only| just| a step of| another)?"


def _n(name: str) -> str:
    return rf"(?:your |my |our |the |their |\()?[€$£]?(?P<{name}>\d+(?:\.\d+)?)(?![\d.]*\d)"


_C = rf"{_IS}{_ABOUT} {_n('c')}"
_SHARES = {"half": 2, "a quarter": 4, "a third": 3, "a tenth": 10}
Rule = tuple[re.Pattern[str], Callable[[dict[str, float]], float]]
_RULES: tuple[Rule, ...] = tuple(
    (re.compile(pattern), result)
    for pattern, result in (
        (rf"{_n('a')}{_UNIT} (?:\+|plus) {_n('b')}(?: more)?{_UNIT}\){{0}}{_C}", lambda n: n["a"] + n["b"]),
        (rf"{_n('a')}{_UNIT} (?:-|−|–|minus) {_n('b')}{_UNIT}{_C}", lambda n: n["a"] - n["b"]),
        (rf"{_n('a')}{_UNIT} (?:x|×|\*|times) {_n('b')}{_UNIT}{_C}", lambda n: n["a"] * n["b"]),
        (rf"\({_n('a')} ?\+ ?{_n('b')}\) ?/ ?2{_C}", lambda n: (n["a"] + n["b"]) / 2),
        (rf"{_n('a')} ?/ ?{_n('b')}{_C}", lambda n: n["a"] / n["b"] if n["b"] else float("nan")),
        (rf"{_n('a')} ?(?:%|percent) of (?:an? \w+ of )?{_n('b')}{_UNIT}{_C}", lambda n: n["a"] / 100 * n["b"]),
        (rf"\b(?P<share>half|a quarter|a third|a tenth) of {_n('b')}{_UNIT}{_C}", lambda n: n["b"] / n["share"]),
        (
            rf"\b(?:half-?way|midpoint|middle|mean|average|split the difference|split) (?:between |of )?(?:the difference between )?"
            rf"{_n('a')}{_UNIT} and {_n('b')}{_UNIT}{_C}",
            lambda n: (n["a"] + n["b"]) / 2,
        ),
        (
            rf"{_n('a')} (?:months?|days?|weeks?|years?|nights?|tonnes|sacks?|books?|packs?|hours?|pieces|units)(?: of [a-z ]+?)? at {_n('b')}"
            rf"(?: [a-z]+){{0,5}}{_C}",
            lambda n: n["a"] * n["b"],
        ),
        (
            rf"\bover {_n('a')} (?:months|days|weeks|years),? {_n('b')} (?:a|per|each) (?:month|day|week|year){_C}",
            lambda n: n["a"] * n["b"],
        ),
        (rf"\bat {_n('b')} (?:a|per) \w+ over {_n('a')} \w+,?{_C}", lambda n: n["a"] * n["b"]),
        (rf"{_n('a')}(?: [a-z]+)? (?:a|per) year{_IS}{_ABOUT} {_n('c')}(?: [a-z]+)? (?:a|per) month", lambda n: n["a"] / 12),
        (rf"\bby(?: only)? {_n('c')}{_UNIT},? from {_n('a')}{_UNIT} to {_n('b')}", lambda n: abs(n["a"] - n["b"])),
        (rf"\boff {_n('c')}[a-z ]*,? from {_n('a')}{_UNIT} to {_n('b')}", lambda n: abs(n["a"] - n["b"])),
    )
)
"""Each pattern names its numbers; the function gives what `c` should be."""
_FROM_TO = re.compile(
    rf"\bfrom {_n('a')}{_UNIT} to {_n('b')}{_UNIT}{_IS}{_ABOUT} {_n('c')} ?(?P<percent>%|percent)?"
    r"(?=[^.;]*\b(?:less|more|step|off|down|up|points|lower|higher|euros?|dollars?)\b|$|,)"
)
_STEP_OF = re.compile(rf"\bfrom {_n('a')}{_UNIT} to {_n('b')}{_UNIT},? (?:that )?is a step of {_n('c')}")
_OF_BOTH = re.compile(
    rf"\b(?:(?P<middle>the (?:middle|midpoint|mean) is)|(?P<half>half (?:of )?(?:the|that) difference is)|(?P<whole>the difference is)) {_n('c')}"
)
_APART = re.compile(rf"(?:\b(?P<were>were) )?(?:only )?{_n('c')}{_UNIT} apart\b|\b(?:gap|distance)(?: between us)? (?:is|was) (?:only |now |still )?{_n('d')}")
_LESS_THAN = re.compile(rf"\b(?:that is|i am|we are|which is) {_n('c')}{_UNIT} (?:less|more|lower|higher|below|above) than (?:my|our) (?:[a-z]+ )+?(?:of )?{_n('a')}")
_ALL = re.compile(rf"\bof the {_n('t')} \w+|{_n('u')} \w+ in all")
_PART = re.compile(r"\b(?P<who>you|i|we) (?:get|take|keep|have) (?P<n>\d+)\b(?! of)|\b(?P<m>\d+) for (?P<whom>you|me|us)\b")
_PERCENT = re.compile(r"(\d+)(?: ?%| percent\b)?(?= for (?:you|me|us)\b| for the)")


def wrong_arithmetic(said: Said) -> list[str]:
    """Return the wrong calculations of a message, each with the right result."""
    found: list[str] = []
    before: list[float] = []
    for part in said.sentences:
        for clause in re.split(r"; ", part.text):
            found += [*_calculated(clause), *_steps(clause), *_between(clause, before), *_apart(said, clause), *_parts(said, clause)]
            before += [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", clause)]
    return list(dict.fromkeys(found))


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
        named = before + [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", clause[: match.start()])]
        if len(named) >= 2:
            one, two = named[-2:]
            right = (one + two) / 2 if match["middle"] else abs(one - two) / (2 if match["half"] else 1)
            yield from _checked(right, float(match["c"]), rough=False, words=match[0])


def _apart(said: Said, clause: str) -> Iterator[str]:
    """Yield wrong distances between the offers of both sides, or from the side's own offer."""
    numeric = [name for name, issue in said.scenario.issues.items() if issue.range is not None]
    money = [name for name in numeric if re.search(r"[€$£]", said.scenario.issues[name].unit)]
    issue = numeric[0] if len(numeric) == 1 else money[0] if len(money) == 1 else None
    if issue is None or said.offer is None:
        return
    own = said.offer[issue]
    if (match := _LESS_THAN.search(clause)) and isinstance(own, int):
        yield from _checked(abs(float(match["a"]) - own), float(match["c"]), rough=False, words=match[0])
    if (match := _APART.search(clause)) and said.table is not None and not re.search(r"\bbegan|started|first\b", clause):
        other, last = said.table[issue], (said.last or said.offer)[issue]
        assert isinstance(own, int) and isinstance(other, int) and isinstance(last, int)
        stated = float(match["c"] or match["d"])
        right = {abs(last - other)} if match["were"] else {abs(own - other), abs(last - other)} if "gap" not in clause else {abs(own - other)}
        if stated not in right:
            yield f"{match[0]}: {shown(min(right))} is right"


def _parts(said: Said, clause: str) -> Iterator[str]:
    """Yield parts of both sides that do not add up to what is divided."""
    total = _ALL.search(clause)
    parts = {("you" if (m["who"] or m["whom"]) == "you" else "me"): float(m["n"] or m["m"]) for m in _PART.finditer(clause)}
    if total is not None and len(parts) == 2:
        yield from _checked(float(total["t"] or total["u"]), sum(parts.values()), rough=False, words=clause)
        return
    shares: dict[str, dict[bool, set[object]]] = {}
    for match in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?", clause):
        owner = whose(clause, match.start(), match.end(), said.seat)
        if owner is None:
            continue
        for mention in said.vocabulary.values_in(clause, said.seat):
            if mention.start <= match.start() < mention.end and said.scenario.issues[mention.issue].split:
                shares.setdefault(mention.issue, {}).setdefault(owner == said.seat, set()).update(mention.values)
    for issue, sides in shares.items():
        if len(sides) == 2 and not sides[True] & sides[False]:
            most = said.scenario.issues[issue].choices[-1]
            yield f"{said.scenario.issues[issue].title or issue}: the parts do not add up to {most}"
    percents = {whose(clause, m.start(), m.end(), said.seat): float(m[1]) for m in _PERCENT.finditer(clause)}
    if len(percents) == 2 and None not in percents and re.search(r"percent|%", clause):
        yield from _checked(100.0, sum(percents.values()), rough=False, words=clause)


def _checked(right: float, stated: float, *, rough: bool, words: str) -> Iterator[str]:
    slack = ROUGH * abs(right) if rough else 0.5 if right != int(right) and stated == int(stated) else 0.005
    if abs(right - stated) > slack:
        yield f"{words.strip()}: {shown(round(right, 2))} is right"
