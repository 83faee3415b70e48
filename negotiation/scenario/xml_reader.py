"""Read XML files from strangers into a plain tree of elements that know their line.

Real files break the rules of XML in small ways: bare ampersands, Latin-1 bytes without a declaration, blank lines
before the declaration. These are read, with a note. Document types are refused, so no entity is ever expanded, and
size and depth are bounded.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from negotiation.errors import ScenarioError

MAX_BYTES = 20_000_000
MAX_DEPTH = 50
Note = Callable[[str], None]
"""Receives each remark about something that was read although it breaks the rules."""

_ENCODINGS = ("utf-8", "utf-16", "ascii", "iso8859", "cp125", "koi8", "mac-roman")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*\?>")
_BARE_AMPERSAND = re.compile(r"&(?!#[0-9]+;|#x[0-9a-fA-F]+;|[A-Za-z_:][\w.:-]*;)")


@dataclass(frozen=True)
class Element:
    """An element with its attributes and child elements, in order. Text between elements is dropped."""

    path: Path
    tag: str
    line: int
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> Iterator[Element]:
        """Yield the children with this tag."""
        return (child for child in self.children if child.tag == tag)

    def everywhere(self, tag: str) -> Iterator[Element]:
        """Yield the elements with this tag at every depth, in document order."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.everywhere(tag)

    def first(self, tag: str) -> Element | None:
        """Return the first child with this tag, if there is one."""
        return next(self.all(tag), None)

    def the(self, tag: str) -> Element:
        """Return the only child with this tag; raise ScenarioError if there is none or more than one."""
        found = list(self.all(tag))
        if len(found) != 1:
            raise self.error(f"must contain exactly one <{tag}>, not {len(found)}")
        return found[0]

    def text(self, name: str) -> str:
        """Return an attribute; raise ScenarioError if it is missing."""
        if name not in self.attributes:
            raise self.error(f"the attribute '{name}' is missing")
        return self.attributes[name]

    def number(self, name: str) -> float:
        """Return an attribute as a finite number; raise ScenarioError if it is not one."""
        text = self.text(name)
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not abs(number) < float("inf"):
            raise self.error(f'{name}="{text[:40]}" is not a number')
        return number

    def whole(self, name: str) -> int:
        """Return an attribute as an integer; raise ScenarioError if it is not one."""
        number = self.number(name)
        if number != int(number):
            raise self.error(f'{name}="{self.attributes[name][:40]}" is not an integer')
        return int(number)

    @property
    def where(self) -> str:
        """The file, the line and the element, for messages."""
        label = self.attributes.get("name") or self.attributes.get("value")
        shown = f'<{self.tag} "{label[:40]}">' if label else f"<{self.tag}>"
        return f"{self.path}, line {self.line}: {shown}"

    def error(self, problem: str) -> ScenarioError:
        """Return an error that names the file, the line and the element."""
        return ScenarioError(f"{self.where}: {problem}")


def read_xml(path: Path, on_note: Note = lambda _: None) -> Element:
    """Return the root element of an XML file.

    Args:
        path: The file, at most `MAX_BYTES` long.
        on_note: Called with each fault that was tolerated.

    Raises:
        ScenarioError: The file cannot be read; names the file and, where known, the line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ScenarioError(f"{path}: larger than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from None
    # Decoded already, so the declaration goes; its line breaks stay, for the line numbers.
    text = _DECLARATION.sub(lambda found: "\n" * found[0].count("\n"), _decoded(path, data, on_note))
    return _Reader(path).read(_with_escaped_ampersands(path, text, on_note))


def _decoded(path: Path, data: bytes, on_note: Note) -> str:
    """Decode by the byte order mark, the declared encoding or UTF-8, and as a last resort as Latin-1."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
    if not encoding:
        declared = _DECLARED.match(data)
        encoding = declared[1].decode("ascii") if declared else "utf-8"
        try:
            known = codecs.lookup(encoding).name.startswith(_ENCODINGS)
        except LookupError:
            known = False
        if not known:
            raise ScenarioError(f"{path}: not readable as XML (unknown encoding '{encoding[:40]}')")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        on_note(f"{path}, line {line}: not valid {encoding.removesuffix('-sig').upper()}; read as Latin-1")
    try:
        return data.decode("cp1252")  # what programs mean by Latin-1: the euro sign and curly quotes, too
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _with_escaped_ampersands(path: Path, text: str, on_note: Note) -> str:
    if first := _BARE_AMPERSAND.search(text):
        line = text.count("\n", 0, first.start()) + 1
        on_note(f"{path}, line {line}: a bare & is read as &amp; (in a valid file, & is written &amp;)")
        return _BARE_AMPERSAND.sub("&amp;", text)
    return text


class _Reader:
    """Builds the tree from expat's events."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[Element] = []
        self._root: Element | None = None
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, text: str) -> Element:
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
                reason += "; in a value, write < as &lt; and & as &amp;"
            raise ScenarioError(f"{self._path}, line {error.lineno}: not readable as XML ({reason})") from None
        assert self._root is not None  # expat reports a document without elements as an error
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
        raise ScenarioError(f"{self._path}, line {line}: document types and entities are not read; remove <!DOCTYPE>")
