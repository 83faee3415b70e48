"""The format of a scenario family: what its scenarios have in common, and from which parts they are drawn.

A family states the opposition and the zone of agreement of its scenarios, and a number of settings: situations with a
story, two roles and issues, whose words vary. `drawing` draws scenarios from it. docs/scenarios.md explains every key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from manager.config.strict_yaml import read_yaml, shown, validate
from manager.errors import ConfigError
from negotiation.errors import ScenarioError
from negotiation.families.people import People
from negotiation.families.wording import Words, check_numbers, check_words
from negotiation.scenario.issue import Options, Range, Strict
from negotiation.scenario.model import MOST_ROUNDS, SEATS, Seat, check_id
from negotiation.scenario.source import SHIPPED

FAMILIES = SHIPPED / "families"
VERSION = 1
"""The version of the generator. Raise it whenever the same file and seed would give another scenario."""
MOST_NAME = 18
"""Characters of a family's name, so that the ids of its scenarios are not too long."""

_pair = BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
Share = Annotated[float, Field(ge=0, le=2)]
Whole = Annotated[int, Field(ge=1, le=1_000_000)]
Shares = Annotated[tuple[Share, Share], _pair]
Wholes = Annotated[tuple[Whole, Whole], _pair]
Wanted = Literal["more", "less"]
Text = Annotated[str, Field(min_length=1, max_length=4000)]


class FamilyPrice(Strict):
    """A range around what something is worth: a number, or a word that is one (as in "{thing.worth}").

    Both ends are drawn, each `around` this many percent away from it.
    """

    worth: int | str
    around: Wholes = (20, 50)


class FamilyIssue(Strict):
    """An issue of a setting: named `options`, a fixed `range`, a `price`, or an `amount` to be divided.

    `wants` says for each role whether it prefers the later options (the larger numbers) or the earlier ones; if both
    prefer the same, the issue is compatible. `called` is its name inside a sentence, `why` a sentence of each briefing.
    """

    title: Annotated[str, Field(min_length=1, max_length=80)]
    called: Annotated[str, Field(min_length=1, max_length=80)]
    unit: Annotated[str, Field(max_length=20)] = ""
    options: Options | None = None
    range: Range | None = None
    price: FamilyPrice | None = None
    amount: Wholes | None = None
    wants: dict[Seat, Wanted]
    why: dict[Seat, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> FamilyIssue:
        kinds = [each for each in (self.options, self.range, self.price, self.amount) if each is not None]
        if len(kinds) != 1:
            raise ValueError("give one of options, range, price and amount")
        if set(self.wants) != set(SEATS):
            raise ValueError("wants: say what both roles want, as in {a: more, b: less}")
        if self.amount is not None and self.wants != {"a": "more", "b": "less"}:
            raise ValueError("wants: an amount is divided, role a gets the number; write {a: more, b: less}")
        return self


class FamilyRole(Strict):
    """A role of a setting: its name, what it is up to, and what happens without a deal."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    briefing: Text
    no_deal: Text


class FamilySetting(Strict):
    """A situation. `{word}` and `{word.part}` in its texts stand for one of the listed `words`, which is drawn."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    words: Words = Field(default_factory=dict)
    story: Text
    roles: dict[Seat, FamilyRole]
    issues: Annotated[dict[str, FamilyIssue], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> FamilySetting:
        if set(self.roles) != set(SEATS):
            raise ValueError("roles: exactly the roles a and b are needed")
        for key, text in self.texts():
            check_words(key, text, self.words)
        for name, issue in self.issues.items():
            if issue.price is not None:
                check_numbers(f"issues.{name}.price.worth", str(issue.price.worth), self.words)
        return self

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the key and the text of everything that may contain words."""
        yield "title", self.title
        yield "story", self.story
        for seat, role in self.roles.items():
            yield from ((f"roles.{seat}.{key}", text) for key, text in role.model_dump().items())
        for name, issue in self.issues.items():
            yield from ((f"issues.{name}.{key}", getattr(issue, key)) for key in ("title", "called", "unit"))
            yield from ((f"issues.{name}.why.{seat}", text) for seat, text in issue.why.items())
            yield from ((f"issues.{name}.options", option) for option in issue.options or ())
            if issue.price is not None:
                yield f"issues.{name}.price.worth", str(issue.price.worth)


class Points(Strict):
    """Preferences as points per item, as a side `ranked` the items. Every ordered pair of rankings is drawn once."""

    ranked: Annotated[tuple[Whole, ...], _pair]
    no_deal: Annotated[int, Field(ge=0)]


class Family(Strict):
    """A family file. `opposition` and `zone` are the least and the greatest value of its scenarios."""

    name: str
    title: Annotated[str, Field(min_length=1, max_length=80)]
    about: Annotated[str, Field(min_length=1, max_length=1000)]
    source: Annotated[str, Field(max_length=1000)] = ""
    opposition: Shares
    zone: Shares
    rounds: Wholes = (8, 8)
    issues: Wholes | None = None
    points: Points | None = None
    people: People | None = None
    settings: Annotated[tuple[FamilySetting, ...], Field(min_length=1), _pair]

    @field_validator("opposition", "zone", "rounds", "issues")
    @classmethod
    def _in_order(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is not None and given[0] > given[1]:
            raise ValueError(f"the least value ({given[0]:g}) is above the greatest ({given[1]:g})")
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Family:
        if self.rounds[1] > MOST_ROUNDS:
            raise ValueError(f"rounds: at most {MOST_ROUNDS:,}")
        for number, setting in enumerate(self.settings):
            where, size = f"settings.{number}.issues", len(setting.issues)
            if self.issues is not None and self.issues[1] > size:
                raise ValueError(f"{where}: {self.issues[1]} issues are to be drawn, but there are only {size}")
            if self.points is not None:
                _check_points(where, self.points, setting.issues)
        return self

    @cached_property
    def sha256(self) -> str:
        """The digest of what scenarios are drawn from: the definition without its name, and the generator's version."""
        definition = self.model_dump(mode="json", exclude={"name", "people", "title", "about", "source"})
        return hashlib.sha256(json.dumps([VERSION, definition], sort_keys=True).encode()).hexdigest()


def load_family(source: str | Path) -> Family:
    """Load a family.

    Args:
        source: The name of a family that comes with Parley, or the path of a file, whose name without its ending is
            the family's name.

    Raises:
        ScenarioError: There is no such family, or it is invalid; names the file and the key.
    """
    if isinstance(source, str) and not Path(source).suffix and len(Path(source).parts) == 1:
        return find_family(source, FAMILIES)
    path = Path(source)
    check_id(path.stem, str(path))
    if len(path.stem) > MOST_NAME:
        raise ScenarioError(f"{path}: a family's name has at most {MOST_NAME} characters")
    try:
        data = read_yaml(path)
        family = validate(Family, {"name": path.stem, **data} if isinstance(data, dict) else data, str(path))
    except ConfigError as error:
        raise ScenarioError(str(error)) from None
    if "name" in data:
        raise ScenarioError(f"{path}: key 'name': unknown key (the name is the file's name)")
    return family


def find_family(name: str, folder: Path, where: str = "family") -> Family:
    """Load a family of a folder by name; raise ScenarioError naming `where` if there is none or it is invalid."""
    if name not in (known := family_names(folder)):
        raise ScenarioError(f"{where}: unknown family {shown(name, 60)}; choose from: {', '.join(known)}")
    return load_family(folder / f"{name}.yaml")


def family_names(folder: Path) -> list[str]:
    """Return the names of the families in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _check_points(where: str, points: Points, issues: Mapping[str, Any]) -> None:
    if len(issues) != len(points.ranked):
        raise ValueError(f"{where}: {len(points.ranked)} ranks are given under points for {len(issues)} issues")
    if other := [name for name, issue in issues.items() if issue.amount is None]:
        raise ValueError(f"{where}.{other[0]}: with points, every issue needs an amount")
