"""The documentation matches the program: settings, options, limits, metrics, links, and the tests that pages name."""

from __future__ import annotations

import dataclasses
import doctest
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from packaging.requirements import Requirement
from prometheus_client.parser import text_string_to_metric_families

from manager.config.model_spec import ModelSpec
from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import PUBLIC, Limits
from negotiation.agents.catalog import Catalog
from negotiation.agents.options import ModelOptions
from negotiation.agents.strategies import STRATEGIES
from negotiation.app.environment import Environment
from negotiation.app.metrics import Metrics
from negotiation.app.settings import AppConfig
from negotiation.cli.main import GROUPS
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.store import Store
from ui import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DEPLOY = (DOCS / "deploy.md").read_text()
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def _commands() -> dict[str, Any]:
    app = typer.Typer()
    for commands in (cli.app, *GROUPS):
        app.add_typer(commands)
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


COMMANDS = _commands()


def listed(page: str, heading: str) -> set[str]:
    """The names in code spans in the first column of the tables under a heading of a page."""
    section = re.split(rf"^#+ {re.escape(heading)}$", (DOCS / page).read_text(), flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}


def test_every_variable_is_documented() -> None:
    read = re.compile(r"""environ(?:ment)?(?:\.get\(|\.setdefault\(|\[)"([A-Z_]+)\"""")
    sources = [
        ROOT / "app.py",
        *(path for room in ("manager", "negotiation", "ui") for path in (ROOT / room).rglob("*.py")),
    ]
    used = {name for path in sources for name in read.findall(path.read_text())} - {"GRADIO_ANALYTICS_ENABLED"}
    used |= {str(field.validation_alias) for field in Environment.model_fields.values()}
    assert {"PARLEY_HOME", "METRICS_TOKEN", "FORWARDED_ALLOW_IPS", "LOG_FORMAT"} <= used
    text = (DOCS / "configuration.md").read_text()
    assert not [name for name in sorted(used) if f"`{name}`" not in text]


def test_every_key_of_the_configuration_is_documented() -> None:
    assert listed("configuration.md", "app.yaml") == set(AppConfig.model_fields)
    assert listed("models.md", "Keys") == set(ModelSpec.model_fields) - {"model_id"}


def test_every_option_and_strategy_is_documented() -> None:
    assert listed("agents.md", "Options of a model") == set(ModelOptions.model_fields)
    assert listed("agents.md", "Scripted strategies") == set(STRATEGIES)
    page = (DOCS / "agents.md").read_text()
    rows = [f"| `{name}` | {agent.persona} | {agent.plain_name} |" for name, agent in STRATEGIES.items()]
    assert not [row for row in rows if row not in page]


def test_every_command_is_documented() -> None:
    assert listed("command-line.md", "Command line") == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_line_of_a_page_is_valid(page: Path) -> None:
    """Names of commands and options are checked; nothing is run."""
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^ *(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?parley (\w.*)$", text, re.MULTILINE):
        name, *arguments = shlex.split(line, comments=True)
        COMMANDS[name].make_context(name, arguments)


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    required = project["dependencies"]
    explained = set(re.findall(r"[\w-]+", (DOCS / "dependencies.md").read_text().lower()))
    assert not [line for line in (*required, *extras) if Requirement(line).name.lower() not in explained]


def test_the_table_of_limits_matches_the_code() -> None:
    table = re.findall(r"^\| `(\w+)` \| [^|]* \| ([\d,–]+) \| ([\d,–]+) \|$", DEPLOY, re.MULTILINE)
    documented = {name: tuple(map(_limit, values)) for name, *values in table}
    private, public = dataclasses.asdict(Limits()), dataclasses.asdict(PUBLIC)
    assert documented == {name: (private[name], public[name]) for name in private}


def _limit(cell: str) -> int | None:
    return None if cell == "–" else int(cell.replace(",", ""))


def test_the_table_of_metrics_matches_the_code(tmp_path: Path) -> None:
    manager, store, lanes, metrics = LLMManager({}), Store(f"sqlite:///{tmp_path}/runs.db"), Lanes(), Metrics()
    live = LiveRuns(Catalog(manager), store, lanes=lanes)
    metrics.watch(manager, lanes, live)
    families = list(text_string_to_metric_families(metrics.text().decode()))
    live.close()
    metrics.close()
    manager.cleanup()
    store.close()
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    own = {name for name in names if name.startswith("parley_") and not name.endswith("_created")}
    assert set(re.findall(r"`(parley_\w+)`", DEPLOY)) == own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Within docs/, so that the link works on GitHub and on the site; `make docs` checks the headings they name."""
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    targets = [(page.parent / link).resolve() for link in links]
    assert not [target for target in targets if not target.is_file()]
    assert page.name == "README.md" or all(target.is_relative_to(DOCS) for target in targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """`path/test_x.py::name` names a file by the end of its path; a following `::name` is in the same file."""
    files = [*(ROOT / "tests").rglob("test_*.py")]
    named: list[Path] = []
    for path, name in re.findall(r"`((?:[\w/]+/)?test_\w+\.py)?(?:::(\w+))?`", page.read_text()):
        if path:
            named = [file for file in files if f"/{file.relative_to(ROOT).as_posix()}".endswith(f"/{path}")]
            assert len(named) == 1, f"{path} names {len(named)} files"
        if name:
            assert f"def {name}(" in named[0].read_text(), f"{named[0].name} has no {name}"


def test_decisions_are_numbered_and_listed() -> None:
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    index = (DOCS / "decisions" / "index.md").read_text()
    assert not [record.name for record in records if index.count(f"({record.name})") != 1]
    for number, record in enumerate(records, start=int(records[0].name[:4])):
        assert record.name.startswith(f"{number:04d}-")
        text = record.read_text()
        assert text.startswith(f"# {number}. ")
        assert [title for title in ("Context", "Decision", "Consequences") if f"\n## {title}\n" not in text] == []


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_examples_in_python_work(page: str) -> None:
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL))
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(doctest.DocTestParser().get_doctest(examples, {}, page, page, 0), out=report.write)
    assert runner.tries
    assert not runner.failures, report.getvalue()
