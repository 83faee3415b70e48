"""The exception tree: as it is drawn, and as values that carry no traceback."""

from __future__ import annotations

import inspect
import re

import pytest

from manager import errors
from manager.errors import Failure, GenerationFailed, LoadFailed, OutOfMemory, ParleyError


def drawn_tree() -> dict[str, list[str]]:
    """Each class drawn in the module's docstring, with its bases: the one above it, and the one in brackets."""
    tree: dict[str, list[str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?(?: |$)", line)
        if found:
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            tree[found[2]] = [name for name in ([above[depth - 1]] if depth else ["Exception"]) + [found[3]] if name]
    return tree


def test_the_tree_is_as_it_is_drawn() -> None:
    classes = {
        name: [base.__name__ for base in cls.__bases__]
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, Exception)
    }
    assert drawn_tree() == classes


def test_a_failure_of_ours_keeps_kind_and_text() -> None:
    failure = Failure.of(OutOfMemory("full"), LoadFailed)
    assert failure == Failure(OutOfMemory, "full")
    first, second = failure.error(), failure.error()
    assert type(first) is OutOfMemory
    assert str(first) == "full"
    assert first is not second


def test_a_foreign_failure_becomes_what_it_should_be_and_names_its_class() -> None:
    failure = Failure.of(KeyError("x"), GenerationFailed)
    assert failure == Failure(GenerationFailed, "KeyError: 'x'")
    with pytest.raises(ParleyError):
        raise failure.error()
