"""The machine profile: a pure function of the environment and the machine."""

from __future__ import annotations

from typing import Any

import pytest

from manager.config.model_spec import ModelSpec, parse_spec
from manager.config.registry import Registry
from negotiation.app.machine_profile import GB, ZERO_GPU_BYTES, Machine, profile
from negotiation.app.settings import SHIPPED

SPACE = {"SPACE_ID": "me/parley"}
ZERO = {**SPACE, "SPACES_ZERO_GPU": "true"}
NODE = Machine(256 * GB, processors=64)  # what a Space's container sees of its host, where no cgroup tells its limit


def model(size: str = "7B", **more: Any) -> ModelSpec:
    return parse_spec("m", {"model_name": "a/b", "size": size, **more})


@pytest.mark.parametrize(
    ("environment", "machine", "kind", "defaults"),
    [
        ({}, Machine(16 * GB), "machine", {"max_loaded_models": 2}),
        ({}, Machine(16 * GB, gpus=(24 * GB,)), "GPU machine", {"max_loaded_models": 2}),
        ({}, Machine(64 * GB, gpus=(24 * GB, 80 * GB)), "GPU machine", {"max_loaded_models": 4}),
        ({}, Machine(2 * GB), "machine", {"max_loaded_models": 1}),
        (
            {**SPACE, "MEMORY": "16Gi", "CPU_CORES": "2"},
            NODE,
            "CPU Space",
            {"max_loaded_models": 2, "memory_budget": {"cpu": 12.9}, "parking_memory": 0.0},
        ),
        (
            {**SPACE, "MEMORY": "15Gi", "ACCELERATOR": "t4-small"},
            Machine(256 * GB, gpus=(16 * GB,)),
            "GPU Space",
            {"max_loaded_models": 2, "memory_budget": {"cpu": 12.1}, "parking_memory": 6.0},
        ),
        (
            {**SPACE, "ACCELERATOR": "a100-large"},  # the driver's tool is missing
            Machine(142 * GB),
            "GPU Space",
            {"max_loaded_models": 4, "memory_budget": {"cpu": 112.8}, "parking_memory": 56.4},
        ),
        (
            {**ZERO, "MEMORY": "64Gi"},
            NODE,
            "ZeroGPU Space",
            {"max_loaded_models": 4, "memory_budget": {"cpu": 54.2}, "parking_memory": 0.0},
        ),
        (
            SPACE,
            Machine(1 * GB),
            "CPU Space",
            {"max_loaded_models": 1, "memory_budget": {"cpu": 0.1}, "parking_memory": 0.0},
        ),
    ],
)
def test_kinds_of_places(environment: dict[str, str], machine: Machine, kind: str, defaults: dict[str, Any]) -> None:
    found = profile(environment, machine)
    assert found.kind == kind
    assert dict(found.defaults) == defaults
    assert found.is_space == ("SPACE_ID" in environment)
    assert found.zero_gpu == (kind == "ZeroGPU Space")


def test_a_spaces_limit_is_what_it_says_or_less() -> None:
    assert profile({**SPACE, "MEMORY": "16Gi"}, NODE).memory == 16 << 30
    assert profile({**SPACE, "MEMORY": "16Gi"}, Machine(8 * GB)).memory == 8 * GB
    for told in ("", "much", "16 apples"):
        assert profile({**SPACE, "MEMORY": told}, NODE).memory == 256 * GB
    assert profile({"MEMORY": "1Gi"}, NODE).memory == 256 * GB  # a variable of anybody's, elsewhere
    assert profile({**SPACE, "CPU_CORES": "2"}, NODE).processors == 2
    assert profile({**SPACE, "CPU_CORES": "99"}, NODE).processors == 64
    assert profile({"CPU_CORES": "2"}, NODE).processors == 64


def test_what_fits_depends_on_device_numbers_and_quantization() -> None:
    laptop, old = profile({}, Machine(24 * GB)), profile({}, Machine(24 * GB, bfloat16=False))
    assert laptop.misfit(model()) == ""
    assert old.misfit(model()) == "needs about 33.6 GB, and this machine has 18.4 GB for models"
    assert laptop.misfit(model(dtype="float32")) != ""
    assert old.misfit(model(dtype="float16")) == ""
    box = profile({}, Machine(64 * GB, gpus=(8 * GB,), bfloat16=False))
    assert box.misfit(model()) == "needs about 16.8 GB, and the GPU has 7.4 GB for models"
    assert box.misfit(model(quantization="bitsandbytes-4bit")) == ""
    assert box.misfit(model(quantization="torchao-int8")) != ""
    assert box.misfit(model(device="cpu")) == ""


def test_an_operators_budget_overrides_the_profile() -> None:
    laptop = profile({}, Machine(24 * GB))
    assert laptop.misfit(model(), {"cpu": 5}) != ""
    assert laptop.misfit(model(), {"cuda:0": 5}) == ""
    assert profile({}, Machine(64 * GB, gpus=(8 * GB,))).misfit(model(), {"cuda:0": 20, "cpu": 1}) == ""


def test_remote_models_and_those_of_unknown_size_are_offered() -> None:
    tiny = profile({}, Machine(1 * GB))
    assert tiny.misfit(model(size="")) == ""
    served = parse_spec("m", {"type": "openai", "model_name": "x", "base_url": "http://127.0.0.1:1/v1", "size": "900B"})
    assert tiny.misfit(served) == ""
    assert tiny.misfit(parse_spec("m", {"type": "fake", "size": "900B"})) == ""


@pytest.mark.parametrize(
    ("environment", "machine", "largest"),
    [
        ({**SPACE, "MEMORY": "16Gi"}, Machine(256 * GB, bfloat16=False), "qwen3-1.7b"),
        ({**SPACE, "MEMORY": "16Gi"}, NODE, "qwen3-4b"),
        ({**SPACE, "MEMORY": "2Gi"}, Machine(256 * GB, bfloat16=False), "smollm2-bold"),
        ({**SPACE, "MEMORY": "30Gi"}, Machine(256 * GB, gpus=(24 * GB,)), "qwen3-8b"),
        ({**ZERO, "MEMORY": "64Gi"}, NODE, "smollm3-3b"),
    ],
)
def test_the_shipped_models_that_are_offered(environment: dict[str, str], machine: Machine, largest: str) -> None:
    found = profile(environment, machine)
    offered = [spec for spec in Registry.from_yaml(SHIPPED / "models.yaml") if not found.misfit(spec)]
    assert offered[0].model_id == "smollm2-steady"  # whatever the place, the first visit finds a model
    assert largest in [spec.model_id for spec in offered]
    sizes = [found.need(spec) for spec in offered]
    assert max(sizes) <= (ZERO_GPU_BYTES if found.zero_gpu else found.rooms.get("gpu", found.rooms["cpu"]))
