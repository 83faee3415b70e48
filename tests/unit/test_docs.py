"""What the documentation lists is what there is: variables, limits, figures."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from manager.manager import LLMManager
from negotiation.admission.lanes import Lanes
from negotiation.admission.limits import PUBLIC, Limits
from negotiation.agents.catalog import Catalog
from negotiation.app.environment import Environment
from negotiation.app.metrics import Metrics
from negotiation.live.live_runs import LiveRuns
from negotiation.runs.store import Store

ROOT = Path(__file__).parents[2]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


def test_every_variable_is_in_the_readme() -> None:
    read = re.compile(r"""environ(?:ment)?(?:\.get\(|\.setdefault\(|\[)"([A-Z_]+)\"""")
    sources = [
        ROOT / "app.py",
        *(path for room in ("manager", "negotiation", "ui") for path in (ROOT / room).rglob("*.py")),
    ]
    used = {name for path in sources for name in read.findall(path.read_text())} - {"GRADIO_ANALYTICS_ENABLED"}
    used |= {str(field.validation_alias) for field in Environment.model_fields.values()}
    assert {"PARLEY_HOME", "METRICS_TOKEN", "FORWARDED_ALLOW_IPS", "LOG_FORMAT"} <= used
    text = (ROOT / "README.md").read_text()
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
