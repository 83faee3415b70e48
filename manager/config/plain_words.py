"""What is wrong with a value or a line of a file, in words for people who do not know the libraries that found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_VALUES = {  # pydantic's kinds of errors (https://docs.pydantic.dev/latest/errors/validation_errors)
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the form that it needs",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt:,.15g}",
    "greater_than_equal": "must be at least {ge:,.15g}",
    "less_than": "must be less than {lt:,.15g}",
    "less_than_equal": "must be at most {le:,.15g}",
    "multiple_of": "must be a multiple of {multiple_of:,.15g}",
    "dict_type": "must hold keys with values",
    "mapping_type": "must hold keys with values",
    "model_type": "must hold keys with values",
    "model_attributes_type": "must hold keys with values",
    "dataclass_type": "must hold keys with values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "none_required": "must be left empty",
}
_LENGTHS = {
    "string_too_short": ("must not be empty", "must have at least {least} characters"),
    "too_short": ("must have at least one entry", "must have at least {least} entries"),
}
_LINES = (  # parts of what PyYAML says, and what they come from
    ("'\\t'", "use spaces here instead of tabs"),
    ("mapping values are not allowed", "a colon has no place here; check the indentation, or put the text in quotes"),
    ("another document", "only one document fits in here; remove the line ---"),
    ("expected <block end>", "this does not fit the lines above; indent it like them"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing before it"),
    ("end of stream", "a quote or bracket is not closed"),
    ("could not find expected ':'", "a key has no colon after it"),
    ("constructor for the tag", "a tag (!name) has no place here; leave it out"),
    ("escape character", "a backslash stands before the wrong letter; write it twice, or use single quotes"),
)


def value_problem(kind: str, context: Mapping[str, Any]) -> str:
    """Return what is wrong with a value: "must be at least 1".

    Args:
        kind: Pydantic's name for it.
        context: The limits that the value misses, by pydantic's names.
    """
    if kind in _LENGTHS:
        one, more = _LENGTHS[kind]
        least = context.get("min_length", 1)
        return one if least == 1 else more.format(least=least)
    if kind == "too_long":
        return f"must have at most {context.get('max_length')} entries"
    return _VALUES.get(kind, "has a value that does not fit").format(**context)


def line_problem(said: str) -> str:
    """Return what is wrong with a line of YAML, from what PyYAML said about it."""
    found = (words for sign, words in _LINES if sign in said)
    return next(found, "this cannot be read; check the indentation, colons and quotes")


def either(problems: Sequence[str]) -> str:
    """Join what is wrong with one value, of which one had to be right: "must be text or a whole number"."""
    different = list(dict.fromkeys(problems))
    start = "must be "
    if all(problem.startswith(start) for problem in different):
        return start + " or ".join(problem.removeprefix(start) for problem in different)
    return "; or ".join(different)


def kind_of(value: object) -> str:
    """Return what a value is: "text", "a number", "a list", "nothing"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "text", int: "a number", float: "a number", list: "a list", dict: "keys with values"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), "something else")
