"""Read configuration files strictly: YAML in, validated pydantic objects out.

All problems with a file are reported as one ConfigError that names the file and the keys.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from manager.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_LEVELS = 50
"""Levels that libyaml's loader reads, which would overflow the stack at some tens of thousands."""
MOST_SAID, MOST_PROBLEMS = 300, 20
"""Limits of a message: characters quoted from a parser's error, and problems listed."""
Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeys(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain words", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key '{key_node.value}'; keep one", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _FastLoader(_UniqueKeys, yaml.CSafeLoader):
    """libyaml's loader, a tenth of the time of Python's."""


class _ExactLoader(_UniqueKeys, yaml.SafeLoader):
    """Python's loader, whose errors are clearer, without aliases (which can expand a small file to gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
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
        raise ConfigError(f"{where}: larger than {most:,} characters; split it up")
    try:
        return yaml.load(text, Loader=_FastLoader if _is_plain(text) else _ExactLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: {str(error.problem or error)[:MOST_SAID]}") from None
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:  # numbers in base 60 can overflow
        raise ConfigError(f"{where}: not valid YAML ({str(error)[:MOST_SAID]})") from None
    except (AttributeError, LookupError, TypeError):  # raised by PyYAML for values such as `!!int ""`
        raise ConfigError(f"{where}: a tag (!!name) does not match its value; leave tags out") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply") from None


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
        kind = "nothing" if data is None else type(data).__name__
        raise ConfigError(f"{place}: expected a mapping of keys to values, got {kind}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = problems(model, error)
        lines = [
            f"{place}: key '{key[:80]}': {text}" if key else f"{place}: {text}" for key, text in found[:MOST_PROBLEMS]
        ]
        lines += [f"{place}: and {len(found) - MOST_PROBLEMS} more problems"] if len(found) > MOST_PROBLEMS else []
        raise ConfigError("\n".join(lines)) from None


def problems(model: type[BaseModel], error: ValidationError) -> list[tuple[str, str]]:
    """Return the problems of a failed validation: (dotted key, or "" for the whole; message)."""
    return [_problem(model, item) for item in error.errors(include_url=False)]


def _problem(model: type[BaseModel], item: Any) -> tuple[str, str]:
    key = ".".join(str(part) for part in item["loc"])
    match item["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            text = f"unknown key (known: {_known(model, item['loc'])})"
        case "missing":
            text = "missing"
        case "value_error":
            text = str(item["ctx"]["error"])
        case _:
            text = f"{item['msg']}, got {shown(item['input'], 80)}"
    return key, text


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
