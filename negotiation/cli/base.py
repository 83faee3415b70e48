"""What all commands share: how they are added, where results go, how a scenario is named on the command line.

Results go to standard output or the file that --json names; progress and errors go to standard error.
"""

from __future__ import annotations

import argparse
import codecs
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from manager.errors import ConfigError
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.scenario.model import Scenario
from negotiation.scenario.source import find_scenario

Command = Callable[[argparse.Namespace], int]


class Add(Protocol):
    """Adds a command to the command line and returns its parser, for its own arguments."""

    def __call__(self, name: str, command: Command, about: str, *, json: bool = True) -> argparse.ArgumentParser:
        """`command` takes the options and returns the exit status; `json` says whether it has --json."""


@contextmanager
def opened() -> Iterator[Parley]:
    """All the parts, as the settings say; commands that run nothing do without."""
    parley = Parley.open(read_settings())
    try:
        yield parley
    finally:
        parley.close()


def scenario_named(name: str, option: str = "--scenario") -> Scenario:
    """The scenario with an id, or in a YAML file; raises ConfigError naming the option."""
    return find_scenario(name, read_settings().config_file("scenarios"), option)


def add_agent(parser: argparse.ArgumentParser, name: str, about: str) -> None:
    """Add the arguments that name an agent and its options: --NAME and --NAME-option."""
    parser.add_argument(f"--{name}", required=True, metavar="AGENT", help=about)
    how = f"how --{name} plays, like guard=rational; may be given several times"
    parser.add_argument(f"--{name}-option", action="append", default=[], metavar="KEY=VALUE", help=how)


def agent_named(options: argparse.Namespace, name: str) -> AgentConfig:
    """The agent that the arguments of `add_agent` name; raises ConfigError."""
    given = vars(options)
    agent, chosen = (given[f"{name}{end}".replace("-", "_")] for end in ("", "-option"))
    if agent == HUMAN:
        raise ConfigError(f"--{name}: people play on the page, not on the command line; name a model or a strategy")
    return AgentConfig.from_arguments(agent, chosen, f"--{name}-option")


def one_line(text: str) -> str:
    """A text in one line, so that what a model writes cannot be taken for what we report."""
    return " ".join(text.split())


class Output:
    """Where results go: the file that --json names, or standard output.

    The file is tried before the work begins, and keeps what was in it until there is something better.
    """

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._stream: TextIO = sys.stdout
        if target not in (None, "-"):
            try:
                self._stream = Path(str(target)).open("a", encoding="utf-8")  # noqa: SIM115 (closed on exit)
            except OSError as error:
                raise self._refused(error) from None

    def write(self, data: Any, lines: Sequence[str]) -> None:
        """Write `data` as JSON if that was asked for, else the lines; raises ConfigError if it cannot be written."""
        encoding = self._stream.encoding or "utf-8"
        plain = codecs.lookup(encoding).name != "utf-8"
        text = "".join(f"{line}\n" for line in lines)
        if self._target is not None:
            text = json.dumps(data, ensure_ascii=plain) + "\n"
        try:
            if self._stream is not sys.stdout and Path(self._stream.name).is_file():
                self._stream.truncate(0)
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> ConfigError:
        return ConfigError(f"--json: cannot write '{self._target or '-'}' ({error.strerror})")

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not sys.stdout:
            with suppress(OSError):  # it was told already
                self._stream.close()


def write_new(files: Mapping[Path, bytes]) -> None:
    """Write files, making their folders; raises ConfigError, before writing any, if one is there already."""
    if there := [path for path in files if path.exists()]:
        raise ConfigError(f"{there[0]}: is there already; move it away or choose another place")
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
