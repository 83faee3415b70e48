"""The command that checks a remote server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from manager.backends.server_check import ServerFinding, check_server
from manager.config.model_spec import parse_spec
from negotiation.cli.common.base import Json, Output, one_line, say

app = typer.Typer()


@app.command("check-server")
def check(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the server, usually ending in /v1.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name under which the server offers the model.")],
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", metavar="VARIABLE", help="Environment variable that holds the API key."),
    ] = None,
    json: Json = None,
) -> int:
    """Report what an OpenAI-compatible server can do, and what Parley does about it."""
    entry = {"type": "openai", "model_name": model, "base_url": url, "api_key": api_key}
    spec = parse_spec("checked", entry, "check-server")
    with Output(json) as out:
        findings = check_server(spec, lambda finding: say(f"checked: {finding.topic}"))
        out.write(
            {"base_url": url, "model_name": model, "findings": [asdict(finding) for finding in findings]},
            [f"{url}  {one_line(model)}", *(line for finding in findings for line in _lines(finding))],
        )
    return 0


def _lines(finding: ServerFinding) -> list[str]:
    return [f"{finding.topic:10} {one_line(finding.found)}", f"{'':10} → {finding.consequence}"]
