"""Shared by all commands: common options, the open application, and where output goes.

Results go to standard output or to the file named by --json; progress and errors go to standard error.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from manager.errors import ConfigError
from negotiation.agents.config import AgentConfig
from negotiation.agents.human import HUMAN, PROGRAM
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from negotiation.families.generate import found_or_drawn
from negotiation.runs.export import read_export
from negotiation.runs.record import Run
from negotiation.scenario.model import SEATS, Scenario

SCENARIO_HELP = "ID of a scenario, path of a YAML file, or FAMILY:SEED[:NUMBER] to draw one."

Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON to FILE (- for standard output).")]
ScenarioOption = Annotated[str, typer.Option("--scenario", metavar="SCENARIO", help=SCENARIO_HELP)]
ScenarioArgument = Annotated[str, typer.Argument(metavar="SCENARIO", help=SCENARIO_HELP)]
AtOnce = Annotated[int, typer.Option("--at-once", metavar="N", help="Negotiations to run in parallel.")]


def agent_option(name: str, about: str) -> Any:
    """Return the option --NAME, which takes the id of an agent."""
    return typer.Option(f"--{name}", metavar="AGENT", help=about)


def settings_option(name: str) -> Any:
    """Return the option --NAME-option, which sets an option of the agent given by --NAME."""
    about = f"Set an option of --{name}, such as guard=rational. Repeatable."
    return typer.Option(f"--{name}-option", metavar="KEY=VALUE", help=about)


def agent_named(name: str, agent: str, settings: Sequence[str] | None) -> AgentConfig:
    """Return the agent given by --NAME and --NAME-option.

    Raises:
        ConfigError: For a person, who can only play on the page, or for a malformed option.
    """
    if agent == HUMAN:
        raise ConfigError(f"--{name}: people play on the page, not on the command line; name a model or a strategy")
    if agent == PROGRAM:
        raise ConfigError(f"--{name}: programs play over HTTP (docs/api.md); name a model or a strategy")
    return AgentConfig.from_arguments(agent, settings or (), f"--{name}-option")


@contextmanager
def opened() -> Iterator[Parley]:
    """Open the application as configured by the environment, and close it afterwards."""
    parley = Parley.open(read_settings())
    try:
        yield parley
    finally:
        parley.close()


def scenario_named(name: str, option: str = "--scenario") -> Scenario:
    """Return the scenario with this id, in this file, or drawn from a family; raise ConfigError naming the option."""
    settings = read_settings()
    return found_or_drawn(name, settings.config_file("scenarios"), settings.config_file("families"), option)


def runs_named(parley: Parley, name: str) -> list[Run]:
    """Return the stored run with this id, or the runs in an exported file; raise UnknownRun or ConfigError."""
    path = Path(name)
    if not path.is_file():
        return [parley.store.run(name)]
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        found = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise _no_export(name, one_line(str(error))[:200]) from None
    if not found or not all(isinstance(data, dict) and "scenario_definition" in data for data in found):
        raise _no_export(name, "each line must be a run")
    runs = [read_export(data) for data in found]
    if not all(set(run.agents) == set(SEATS) for run in runs):
        raise _no_export(name, "each run must name an agent for each seat")
    return runs


def _no_export(name: str, reason: str) -> ConfigError:
    return ConfigError(f"{name}: not a file of exported runs ({reason}); write one with `parley export`")


def one_line(text: str) -> str:
    """Return the text on one line, so that nothing a model writes can pass for our own output."""
    return " ".join(text.split())


class Output:
    """Destination of a command's result: the file named by --json, or standard output.

    The file is opened before the work begins, so that an unwritable one is reported at once. Its previous content
    survives until a result replaces it.
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
        """Write `data` as JSON if --json was given, else the lines; raise ConfigError if that fails."""
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
            with suppress(OSError):  # a failed write was reported already
                self._stream.close()


def write_new(files: Mapping[Path, bytes]) -> None:
    """Write files, creating their folders; raise ConfigError before writing any if one of them exists."""
    if existing := [path for path in files if path.exists()]:
        raise ConfigError(f"{existing[0]}: already exists; move it away or choose another path")
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
