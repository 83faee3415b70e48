"""The console script `parley`: the commands of `negotiation.cli`, and `serve`."""

from __future__ import annotations

from typing import NoReturn

import typer

from manager.machine.process import leave
from negotiation.cli import main as negotiation_cli

app = typer.Typer()


@app.command()
def serve() -> None:
    """Start the web app.

    Environment variables such as PORT, HOST and PARLEY_HOME configure it: see docs/configuration.md.
    """
    from ui.serve import serve  # Gradio takes seconds to import, and no other command needs it

    serve()


def main() -> NoReturn:
    """Run a command, and end the process with its exit status."""
    leave(negotiation_cli.main(groups=(app, *negotiation_cli.GROUPS)))
