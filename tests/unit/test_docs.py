"""The documentation matches the program: variables, limits, metrics, links and the tests that promises name."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import PUBLIC, Limits
from negotiation.agents.catalog import Catalog
from negotiation.app.metrics import Metrics
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.store import Store

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DEPLOY = (DOCS / "deploy.md").read_text()
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def test_every_variable_is_in_the_readme() -> None:
    read = re.compile(r"""(?:environ(?:ment)?(?:\.get\(|\.setdefault\(|\[)|_folder\(environment, )"([A-Z_]+)\"""")
    sources = [
        ROOT / "app.py",
        *(path for room in ("manager", "negotiation", "ui") for path in (ROOT / room).rglob("*.py")),
    ]
    used = {name for path in sources for name in read.findall(path.read_text())} - {"GRADIO_ANALYTICS_ENABLED"}
    assert {"PARLEY_HOME", "METRICS_TOKEN", "FORWARDED_ALLOW_IPS", "LOG_FORMAT"} <= used
    text = (DOCS / "configuration.md").read_text()
    assert not [name for name in sorted(used) if f"`{name}`" not in text]


def test_the_table_of_limits_is_what_there_is() -> None:
    told = {}
    for name, private, public in re.findall(
        r"^\| `(\w+)` \| [^|]* \| ([\d,–]+) \| ([\d,–]+) \|$", DEPLOY, re.MULTILINE
    ):
        told[name] = tuple(None if value == "–" else int(value.replace(",", "")) for value in (private, public))
    private, public = dataclasses.asdict(Limits()), dataclasses.asdict(PUBLIC)
    assert told == {name: (private[name], public[name]) for name in private}


def test_the_table_of_figures_is_what_there_is(tmp_path: Path) -> None:
    manager, store, lanes, metrics = LLMManager({}), Store(f"sqlite:///{tmp_path}/runs.db"), Lanes(), Metrics()
    live = LiveRuns(Catalog(manager), store, lanes=lanes)
    metrics.watch(manager, lanes, live)
    families = list(text_string_to_metric_families(metrics.text().decode()))
    live.close()
    metrics.close()
    manager.cleanup()
    store.close()
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    own = {name for name in there if name.startswith("parley_") and not name.endswith("_created")}
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
