"""Reading XML that strangers wrote: a plain tree of elements that know their line.

No document types, so no entities of any kind are read; size and depth are bounded. Knows nothing of what it means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from negotiation.errors import ScenarioError

MAX_BYTES = 20_000_000
MAX_DEPTH = 50


@dataclass(frozen=True)
class Element:
    """An element: its attributes and the elements in it, in order; text between them is left out."""

    path: Path
    tag: str
    line: int
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> Iterator[Element]:
        """The elements of a kind in this one."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        """The first element of a kind in this one."""
        return next(self.all(tag), None)

    def the(self, tag: str) -> Element:
        """The one element of a kind in this one; raises ScenarioError if there is none or several."""
        found = list(self.all(tag))
        if len(found) != 1:
            raise self.error(f"needs exactly one <{tag}> in it, not {len(found)}")
        return found[0]

    def text(self, name: str) -> str:
        """An attribute; raises ScenarioError if it is missing."""
        if name not in self.attributes:
            raise self.error(f"the attribute '{name}' is missing")
        return self.attributes[name]

    def number(self, name: str) -> float:
        """An attribute as a finite number; raises ScenarioError if it is none."""
        text = self.text(name)
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not abs(number) < float("inf"):
            raise self.error(f'{name}="{text[:40]}" is not a number')
        return number

    def whole(self, name: str) -> int:
        """An attribute as a whole number; raises ScenarioError if it is none."""
        number = self.number(name)
        if number != int(number):
            raise self.error(f'{name}="{self.attributes[name][:40]}" is not a whole number')
        return int(number)

    def error(self, problem: str) -> ScenarioError:
        """An error that names file, line and element."""
        named = self.attributes.get("name") or self.attributes.get("value")
        shown = f'<{self.tag} "{named[:40]}">' if named else f"<{self.tag}>"
        return ScenarioError(f"{self.path}, line {self.line}: {shown}: {problem}")


def read_xml(path: Path) -> Element:
    """The root element of an XML file; raises ScenarioError naming file and line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScenarioError(f"{path}: larger than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from None
    return _Reader(path).read(data)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[Element] = []
        self._root: Element | None = None
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise ScenarioError(f"{self._path}, line {error.lineno}: not readable as XML ({what})") from None
        except (ValueError, LookupError) as error:  # an encoding that Python does not have
            raise ScenarioError(f"{self._path}: not readable as XML ({error})") from None
        assert self._root is not None  # expat calls a document without elements an error
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(self._path, tag, self._parser.CurrentLineNumber, attributes)
        if len(self._open) >= MAX_DEPTH:
            raise element.error("nested too deeply")
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _refuse(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise ScenarioError(f"{self._path}, line {line}: document types and entities are not read; take <!DOCTYPE> out")
