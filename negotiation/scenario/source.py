"""Find scenarios by name and where they are shipped, write them as YAML, and generate their JSON schema."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from manager.config.strict_yaml import shown
from negotiation.errors import ScenarioError
from negotiation.scenario.model import Scenario, load_scenario


def shipped_configs(folder: Path) -> Path:
    """Return the configuration that comes with Parley: in its installed package `folder`, else in the checkout."""
    packaged = folder / "configs"
    return packaged if packaged.is_dir() else folder.parents[1] / "configs"


SHIPPED = shipped_configs(Path(__file__).resolve().parents[1] / "app")


def find_scenario(name: str, folder: Path, option: str = "scenario") -> Scenario:
    """Load a scenario by id or path.

    Args:
        name: The id of a scenario in `folder`, or a path to a YAML file: anything with a file ending or a folder in it.
        folder: Where scenarios are looked up by id.
        option: The source of the name, for messages.

    Raises:
        ScenarioError: There is no such scenario, or it is invalid.
    """
    if Path(name).suffix or len(Path(name).parts) != 1:
        return load_scenario(Path(name))
    ids = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in ids:
        raise ScenarioError(
            f"{option}: unknown scenario {shown(name, 60)}; choose from: {', '.join(ids)}, or name a YAML file"
        )
    return load_scenario(folder / f"{name}.yaml")


def schema_text() -> str:
    """Return the JSON schema of scenario files, for editors. Loading a file checks what a schema cannot express."""
    schema = Scenario.model_json_schema()
    del schema["properties"]["scenario_id"]
    schema["required"].remove("scenario_id")
    header = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A scenario of Parley"}
    return json.dumps({**header, **schema, **header}, indent=2, ensure_ascii=False) + "\n"


def scenario_text(scenario: Scenario) -> str:
    """Return a scenario as YAML text, which `scenario_from_text` reads back."""
    data = scenario.model_dump(exclude={"scenario_id"}, exclude_none=True)
    for name, issue in scenario.issues.items():
        given = {key: value for key, value in data["issues"][name].items() if value or key == "range"}
        data["issues"][name] = given if issue.options is None else {**given, "options": list(issue.options)}
    return str(yaml.dump(data, Dumper=_Blocks, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110))


class _Blocks(yaml.SafeDumper):
    """Writes multi-line texts as blocks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Blocks.add_representer(str, _Blocks.represent_str)
