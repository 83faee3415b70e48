"""Which models can be used here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.machine.hub_access import OFFLINE, SILENT
from negotiation.app.availability import Availability, ModelAvailability
from negotiation.app.machine_profile import Machine
from negotiation.app.parley import Parley
from negotiation.app.settings import read_settings
from tests.support.hub_access import Access

MODELS = """
far: {model_name: owner/far, size: 1B}
huge: {model_name: owner/huge, size: 70B}
walled: {model_name: owner/walled, gated: true}
packaged: {model_name: owner/packed, gguf_file: 'package:manager/machine/host.py', size: 1B}
nowhere: {model_name: /no/such/folder}
served: {type: openai, model_name: x, base_url: 'http://127.0.0.1:1/v1'}
fake: {type: fake}
"""


@pytest.fixture
def parley(tmp_path: Path) -> Iterator[Parley]:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "models.yaml").write_text(MODELS)
    environment = {"PARLEY_HOME": str(tmp_path), "PARLEY_CONFIG": str(configs)}
    parley = Parley.open(read_settings(environment, Machine(9 * 10**9)))
    yield parley
    parley.close()


def judged(parley: Parley, access: Access) -> dict[str, Availability]:
    availability = ModelAvailability(parley.catalog, access)
    return {spec.model_id: availability.of(spec) for spec in availability.registered()}


def test_models_are_ready_here_served_remotely_or_to_be_downloaded(parley: Parley) -> None:
    found = judged(parley, Access())
    assert found["far"] == Availability("download")
    assert found["packaged"] == found["fake"] == Availability("ready")
    assert found["served"] == Availability("remote")
    assert found["huge"].reason == "needs about 168.0 GB, and this machine has 6.4 GB for models"
    assert "HF_TOKEN" in found["walled"].reason
    assert found["nowhere"].reason == "is missing: there is no folder /no/such/folder"


def test_a_token_opens_gated_models(parley: Parley) -> None:
    assert judged(parley, Access(has_token=True))["walled"] == Availability("download")


@pytest.mark.parametrize("trouble", [OFFLINE, SILENT])
def test_nothing_can_be_downloaded_without_the_hub(parley: Parley, trouble: str) -> None:
    found = judged(parley, Access(trouble))
    assert found["far"].reason == f"must be downloaded first, and {trouble}"
    assert found["huge"].reason.startswith("needs about"), "it would not fit anyway"
    assert not found["packaged"].reason
    assert not found["served"].reason


def test_usable_models_are_listed_with_those_that_are_ready_first(parley: Parley) -> None:
    availability = ModelAvailability(parley.catalog, Access())
    assert [spec.model_id for spec in availability.usable()] == ["packaged", "fake", "served", "far"]


def test_a_model_whose_adapter_comes_with_parley_is_found_with_its_base(tmp_path: Path, parley: Parley) -> None:
    assert ModelAvailability(parley.catalog, Access()).trained() is None
    base = {"model_name": "owner/packed", "gguf_file": "package:manager/machine/host.py", "size": "1B"}
    tuned = {**base, "adapters": ["shipped:practised"]}
    parley.manager.register_model("tuned", tuned)
    pair = ModelAvailability(parley.catalog, Access()).trained()
    assert pair is not None
    assert [spec.model_id for spec in pair] == ["tuned", "packaged"]
