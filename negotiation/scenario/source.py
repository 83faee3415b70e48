"""Scenarios found by name, written as YAML, and their schema for editors; how they are read stands in `scenario.py`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from manager.config.strict_yaml import shown
from negotiation.errors import ScenarioError
from negotiation.scenario.model import Scenario, load_scenario


def find_scenario(name: str, folder: Path, option: str = "scenario") -> Scenario:
    """The scenario with an id in `folder`, or in the YAML file that `name` is a path to; raises ScenarioError.

    What has a file ending or a folder in it is a path; `option` is how the message names the source.
    """
    if Path(name).suffix or len(Path(name).parts) != 1:
        return load_scenario(Path(name))
    ids = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in ids:
        raise ScenarioError(
            f"{option}: there is no {shown(name, 60)} (there are: {', '.join(ids)}; or give a YAML file)"
        )
    return load_scenario(folder / f"{name}.yaml")


def schema_text() -> str:
    """The JSON schema of scenario files, for editors; what a schema cannot say is checked when a file is read."""
    schema = Scenario.model_json_schema()
    del schema["properties"]["scenario_id"]
    schema["required"].remove("scenario_id")
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A scenario of Parley"}
    return json.dumps({**about, **schema, **about}, indent=2, ensure_ascii=False) + "\n"


def scenario_text(scenario: Scenario) -> str:
    """The YAML text of a scenario, which `scenario_from_text` reads back."""
    data = scenario.model_dump(exclude={"scenario_id"}, exclude_none=True)
    for name, issue in scenario.issues.items():
        kept = {key: value for key, value in data["issues"][name].items() if value or key == "range"}
        data["issues"][name] = kept if issue.options is None else {**kept, "options": list(issue.options)}
    return str(yaml.dump(data, Dumper=_Blocks, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110))


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Blocks.add_representer(str, _Blocks.represent_str)
