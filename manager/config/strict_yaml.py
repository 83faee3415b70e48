"""Read configuration files strictly: YAML in, validated pydantic objects out.

All problems with a file are reported as one ConfigError that names the file and the keys.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from manager.config.plain_words import either, kind_of, line_problem, value_problem
from manager.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_LEVELS = 50
"""Levels that libyaml's loader reads, which would overflow the stack at some tens of thousands."""
MOST_PROBLEMS = 20
"""The most problems that a message lists."""
Model = TypeVar("Model", bound=BaseModel)


class _Refusal(yaml.constructor.ConstructorError):
    """Valid YAML that is not read; its problem is in our own words."""


class _UniqueKeys(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refusal(None, None, "keys must be plain words", key_node.start_mark)
            if key_node.value in seen:
                raise _Refusal(None, None, f"duplicate key '{key_node.value}'; keep one", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _FastLoader(_UniqueKeys, yaml.CSafeLoader):
    """libyaml's loader, a tenth of the time of Python's."""


class _ExactLoader(_UniqueKeys, yaml.SafeLoader):
    """Python's loader, whose errors are clearer, without aliases (which can expand a small file to gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _Refusal(
                None,
                None,
                "aliases (*name) are not supported; write the value out",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)


def parse_yaml(text: str, where: str, most: int = MAX_BYTES) -> Any:
    """Parse YAML text into plain data.

    Args:
        where: The name of its source in messages.
        most: The largest number of characters.

    Raises:
        ConfigError: The text is not YAML, too large or nested too deeply, or contains duplicate keys or aliases.
    """
    if len(text) > most:
        words = f"larger than {most:,} characters; split it up"
        raise ConfigError(f"{where}: {words}", [("", words)])
    try:
        return yaml.load(text, Loader=_FastLoader if _is_plain(text) else _ExactLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        words = str(error.problem) if isinstance(error, _Refusal) else line_problem(f"{error.context} {error.problem}")
        raise ConfigError(f"{where}, {place}: {words}" if place else f"{where}: {words}", [(place, words)]) from None
    except (yaml.YAMLError, ValueError, ArithmeticError):  # numbers in base 60 can overflow
        words = "not valid YAML: a date, a number or a character in it is impossible; put it in quotes"
        raise ConfigError(f"{where}: {words}", [("", words)]) from None
    except (AttributeError, LookupError, TypeError):  # raised by PyYAML for values such as `!!int ""`
        words = "a tag (!!name) does not match its value; leave tags out"
        raise ConfigError(f"{where}: {words}", [("", words)]) from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply", [("", "nested too deeply")]) from None


def _is_plain(text: str) -> bool:
    """Return whether libyaml can read the text, which has neither aliases nor too many levels."""
    level = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level > MAX_LEVELS or isinstance(event, yaml.AliasEvent):
                return False
    except (yaml.YAMLError, ValueError):
        return False
    return True


def read_yaml(path: Path) -> Any:
    """Read a YAML file as plain data. Raises ConfigError if it is missing, unreadable or wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes; split it up")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_yaml(text, str(path))


def validate(model: type[Model], data: Any, where: str, what: str = "") -> Model:
    """Validate `data` as a `model`. Raises one ConfigError that lists every problem as `where: what: key: problem`."""
    place = f"{where}: {what}" if what else where
    if not isinstance(data, dict):
        words = f"expected keys with values (key: value), got {kind_of(data)}"
        raise ConfigError(f"{place}: {words}", [("", words)])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = problems(model, error, data)
        lines = [
            f"{place}: key '{key[:80]}': {text}" if key else f"{place}: {text}" for key, text in found[:MOST_PROBLEMS]
        ]
        lines += [f"{place}: and {len(found) - MOST_PROBLEMS} more problems"] if len(found) > MOST_PROBLEMS else []
        raise ConfigError("\n".join(lines), found) from None


def problems(model: type[BaseModel], error: ValidationError, data: object) -> list[tuple[str, str]]:
    """Return the problems of a failed validation of `data`: (dotted key, or "" for the whole; what is wrong)."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in error.errors(include_url=False):
        key = ".".join(_keys(item, data))
        found.setdefault((key, _given(item)), []).append(_problem(model, item))
    return [(key, either(texts) + given) for (key, given), texts in found.items()]


def _keys(item: Any, data: object) -> list[str]:
    """Return the keys on the way to a problem, without the names of types that pydantic puts between them."""
    keys = []
    last = len(item["loc"]) - 1
    for place, part in enumerate(item["loc"]):
        if isinstance(data, dict) and (part in data or str(part) in data):
            data = data[part if part in data else str(part)]
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not (place == last and item["type"] == "missing"):
            continue
        keys.append(str(part))
    return keys


def _problem(model: type[BaseModel], item: Any) -> str:
    match item["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"unknown key (known: {_known(model, item['loc'])})"
        case "missing":
            return "missing"
        case "value_error":
            return str(item["ctx"]["error"])
        case kind:
            return value_problem(kind, item.get("ctx", {}))


def _given(item: Any) -> str:
    """Return the value that has a problem, unless the problem does not lie in it alone."""
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument", "missing", "value_error"):
        return ""
    value = item["input"]
    if value == "":
        return ""
    if isinstance(value, bool):  # as YAML writes it
        value = str(value).lower()
    return f", got {kind_of(value) if isinstance(value, dict | list | None) else shown(value, 80)}"


def shown(value: object, length: int) -> str:
    """Return the beginning of a wrong value, quoted for a message."""
    try:
        return repr(str(value)[:length])
    except ValueError:  # Python does not format numbers of more than 4,300 digits
        return "a number of thousands of digits"


def _known(model: type[BaseModel], loc: Iterable[int | str]) -> str:
    """Return the valid keys of the pydantic object that holds an unknown key."""
    fields = model.model_fields
    for part in list(loc)[:-1]:
        field = fields.get(str(part))
        inner = field.annotation if field else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        fields = next((c.__pydantic_fields__ for c in candidates if hasattr(c, "__pydantic_fields__")), fields)
    return ", ".join(field.alias or name for name, field in fields.items())
