"""The command line: `python -m negotiation COMMAND`. What the commands do stands in `commands/`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from manager.errors import ParleyError
from negotiation.cli import attack, compare, lists, replies, runs, scenarios, tournament
from negotiation.cli.base import Command, one_line, say

FAMILIES = (runs, compare, attack, tournament, scenarios, lists, replies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is the command's, or 1 after an error, which is printed in one line."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        return int(options.command(options))
    except ParleyError as error:
        say(f"error: {'; '.join(one_line(problem) for problem in str(error).splitlines())}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m negotiation", description="Run and look at negotiations.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, about: str, *, json: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(command=command)
        if json:
            sub.add_argument("--json", metavar="FILE", help="print JSON to FILE (- for standard output)")
        return sub

    for family in FAMILIES:
        family.register(add)
    return parser
