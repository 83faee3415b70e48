"""The public surface of the package: exactly these names, importable without any model library or Gradio."""

from __future__ import annotations

import subprocess
import sys

import negotiation

PUBLIC = {
    "STRATEGIES",
    "Action",
    "Agent",
    "AgentConfig",
    "Analyser",
    "Asked",
    "Catalog",
    "Decision",
    "Ended",
    "Ending",
    "Event",
    "Family",
    "Halted",
    "IllegalTurn",
    "Measures",
    "Negotiation",
    "Queued",
    "Rejected",
    "Scenario",
    "ScenarioError",
    "Started",
    "Turn",
    "TurnStarted",
    "TurnTaken",
    "UnknownAgent",
    "View",
    "Waiting",
    "Writing",
    "draw_scenario",
    "draw_scenarios",
    "load_family",
    "load_scenario",
    "load_scenarios",
    "negotiate",
}
HEAVY = ("torch", "transformers", "gradio", "sqlalchemy", "ray", "pandas", "pyarrow", "inspect_ai")


def test_exactly_these_names_are_public() -> None:
    assert set(negotiation.__all__) == PUBLIC
    assert len(negotiation.__all__) == len(PUBLIC)


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(negotiation, name) is not None for name in PUBLIC)


def test_scenarios_are_drawn_without_any_of_them() -> None:
    drawn = "negotiation.draw_scenario(negotiation.load_family('price'), 1).scenario_id"
    code = f"import sys, negotiation; print({drawn}, [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("price_1_1 []\n", "")


def test_importing_the_package_and_the_gym_imports_neither_model_libraries_nor_the_page_nor_the_store() -> None:
    code = f"import sys, negotiation, negotiation.gym; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
