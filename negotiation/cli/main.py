"""The command line: `parley COMMAND`; `python -m negotiation COMMAND` has the same commands, except `serve`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from manager.errors import ParleyError
from negotiation import __version__
from negotiation.cli import (
    attack,
    compare,
    export,
    families,
    lists,
    profile,
    replies,
    reproduce,
    runs,
    scenarios,
    servers,
    tournament,
)
from negotiation.cli.common.base import one_line, say

GROUPS = (
    runs.app,
    export.app,
    reproduce.app,
    compare.app,
    tournament.app,
    attack.app,
    profile.app,
    scenarios.app,
    families.app,
    lists.app,
    replies.app,
    servers.app,
)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, groups: Sequence[typer.Typer] = GROUPS) -> int:
    """Run a command and return its exit status.

    The status is 1 after an error, which goes to standard error in one line, 2 after a mistake in the arguments, and
    130 after Ctrl-C.

    Args:
        arguments: The command and its arguments; by default those of this process.
        groups: The groups of commands to choose from.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        _application(groups)(arguments, prog_name="parley")
    except ParleyError as error:
        say(f"error: {'; '.join(one_line(problem) for problem in str(error).splitlines())}")
        return 1
    except SystemExit as done:  # how Typer ends
        if done.code == INTERRUPTED:
            say("stopped")
        return int(done.code or 0)
    return 0


def _application(groups: Sequence[typer.Typer]) -> typer.Typer:
    app = typer.Typer(
        callback=_parley,
        result_callback=_exit,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for group in groups:
        app.add_typer(group)
    return app


def _exit(status: int, **_: object) -> None:
    """End with the exit status that a command returned."""
    raise typer.Exit(status)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"parley {__version__}\n")
        raise typer.Exit


def _parley(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Let language models negotiate with each other, and find out which does better."""
