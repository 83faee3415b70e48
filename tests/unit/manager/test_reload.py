"""models.yaml taken over while the manager runs, and what an operator pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config.registry import Changes
from manager.errors import ConfigError, UnknownModel, UnsupportedType
from manager.manager import LLMManager
from manager.state import State
from tests.unit.manager.conftest import SECONDS, MakeManager, Watch, Workshop, bench

FAKE = {"type": "fake"}


def models(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_text(text)
    return path


def state(manager: LLMManager, model_id: str) -> str:
    return str(manager.list_models()[model_id]["state"])


def weights(manager: LLMManager) -> dict[str, str]:
    return {row.weights: str(row.state) for row in manager.snapshot().weights}


# -- reload ----------------------------------------------------------------------------------------------------


def test_additions_changes_and_removals_are_applied(make: MakeManager, tmp_path: Path) -> None:
    manager = make({"stays": FAKE, "changes": {**FAKE, "replies": ["Old."]}, "goes": FAKE})
    assert manager.get_response("Hi", "changes") == "Old."
    path = models(
        tmp_path,
        "new: {type: fake, replies: [New.]}\n"
        "changes: {type: fake, model_name: another, replies: [Changed.]}\n"
        "stays: {type: fake}\n",
    )
    assert manager.reload(path) == Changes(added=("new",), changed=("changes",), removed=("goes",))
    assert list(manager.list_models()) == ["new", "changes", "stays"]
    assert manager.get_response("Hi", "new") == "New."
    assert manager.get_response("Hi", "changes") == "Changed."
    with pytest.raises(UnknownModel, match=r"'goes' is not registered \(registered: new, changes, stays\)"):
        manager.get_response("Hi", "goes")


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    path = models(tmp_path, "a: {type: fake}\n")
    with LLMManager.from_yaml(path, cache_dir=tmp_path) as manager:
        manager.load_model("a")
        assert manager.reload(path) == Changes((), (), ())
        assert state(manager, "a") == "resident"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("b: {type: fake, replise: []}", ConfigError, "models.yaml: model 'b': key 'replise': unknown key"),
        ("b: {type: fake}\nb: {type: fake}", ConfigError, "duplicate key 'b'"),
        ("b: {type: teapot, model_name: x}", UnsupportedType, "'teapot' is not supported"),
        ("", ConfigError, "lists no models, so nothing was changed"),
        (None, ConfigError, "models.yaml: no such file"),
    ],
)
def test_a_wrong_file_changes_nothing(
    make: MakeManager, tmp_path: Path, text: str | None, kind: type[Exception], message: str
) -> None:
    manager = make({"a": FAKE})
    manager.load_model("a")
    version = manager.snapshot().version
    path = models(tmp_path, text) if text is not None else tmp_path / "models.yaml"
    with pytest.raises(kind, match=message):
        manager.reload(path)
    assert list(manager.list_models()) == ["a"]
    assert state(manager, "a") == "resident"
    assert manager.snapshot().version == version


def test_a_removed_model_serves_its_leases_and_waiters_and_is_then_unloaded(
    make: MakeManager, workshop: Workshop, tmp_path: Path
) -> None:
    manager = make({"a": bench("A", concurrency=1)})
    watch = Watch(manager.subscribe())
    held = manager.lease("a")
    waiting = manager.request_lease("a")
    manager.reload(models(tmp_path, "b: {type: fake}"))
    assert weights(manager) == {"A": "resident", "b": "cold"}
    held.release()
    lease = waiting.wait(SECONDS)
    assert lease is not None
    lease.release()
    watch.until("state", None, State.COLD)
    watch.until("removed")
    assert weights(manager) == {"b": "cold"}
    assert workshop.count("unload A") == 1


def test_running_negotiations_finish_with_what_they_began_and_load_it_once(
    make: MakeManager, workshop: Workshop, tmp_path: Path
) -> None:
    manager = make({"a": bench("A"), "b": bench("B")})
    watch = Watch(manager.subscribe())
    first, second = manager.spec("a"), manager.spec("b")
    for turn in range(6):
        speaker, other = (first, second) if turn % 2 == 0 else (second, first)
        with manager.lease(speaker, owner="run 1", next_model=other):
            if turn == 1:
                manager.reload(models(tmp_path, "c: {type: fake}"))
    assert workshop.count("load A") == workshop.count("load B") == 1, "returning sessions find their weights"
    assert set(weights(manager)) == {"A", "B", "c"}
    manager.forget("run 1")
    for _ in "AB":
        watch.until("state", None, State.COLD)
        watch.until("removed")
    assert weights(manager) == {"c": "cold"}


def test_a_removed_model_that_is_requested_later_is_loaded_and_unloaded_again(
    make: MakeManager, tmp_path: Path
) -> None:
    manager = make({"a": {**FAKE, "replies": ["Still here."]}})
    watch = Watch(manager.subscribe())
    spec = manager.spec("a")
    handle = manager.load_model("a")
    manager.reload(models(tmp_path, "c: {type: fake}"))
    watch.until("removed")
    with manager.lease(spec):
        assert "a" in weights(manager)
    watch.until("state", None, State.COLD)
    assert handle.get_response("Hi") == "Still here."


def test_old_and_new_settings_of_shared_weights_live_side_by_side(make: MakeManager, tmp_path: Path) -> None:
    shared = "{type: fake, model_name: shared, replies: [one two three]"
    manager = make({"a": {**FAKE, "model_name": "shared", "replies": ["one two three"]}})
    old = manager.spec("a")
    manager.load_model("a")
    path = models(tmp_path, f"a: {shared}, generation_config: {{max_new_tokens: 1}}}}\nb: {shared}}}\n")
    assert manager.reload(path) == Changes(("b",), ("a",), ())
    assert manager.get_response("Hi", "a") == "one"
    assert "".join(manager.session("old").ask(old, "Hi")) == "one two three"
    assert weights(manager) == {"shared": "resident"}


def test_models_registered_by_a_call_stay_unless_the_file_names_them(make: MakeManager, tmp_path: Path) -> None:
    manager = make({"a": FAKE})
    manager.register_model("mine", FAKE)
    manager.register_model("taken", FAKE)
    changes = manager.reload(models(tmp_path, "taken: {type: fake, replies: [The file's.]}"))
    assert changes == Changes((), ("taken",), ("a",))
    assert list(manager.list_models()) == ["taken", "mine"]
    assert manager.get_response("Hi", "taken") == "The file's."
    assert manager.reload(models(tmp_path, "a: {type: fake}")) == Changes(("a",), (), ("taken",))


# -- pins ------------------------------------------------------------------------------------------------------


def test_an_operators_pin_stays_until_it_is_removed(make: MakeManager) -> None:
    manager = make(dict.fromkeys("abc", FAKE), 2)
    watch = Watch(manager.subscribe())
    manager.load_model("a")
    manager.pin("a")
    assert watch.until("pinned", "a").state is State.RESIDENT
    assert manager.list_models()["a"]["pinned"]
    for name in "bcb":
        manager.load_model(name)
    assert state(manager, "a") == "resident"
    manager.pin("a", pinned=False)
    assert not manager.list_models()["a"]["pinned"]
    for name in "bc":
        manager.load_model(name)
    assert state(manager, "a") == "cold"


def test_an_entry_that_is_pinned_can_be_unpinned(make: MakeManager) -> None:
    manager = make({"a": {**FAKE, "pinned": True}, "b": FAKE}, 1)
    manager.load_model("a")
    manager.pin("a", pinned=False)
    manager.load_model("b")
    assert state(manager, "a") == "cold"


def test_pins_outlast_a_reload_and_end_with_their_model(make: MakeManager, tmp_path: Path) -> None:
    manager = make({"a": FAKE, "b": FAKE})
    manager.pin("a")
    manager.pin("b")
    manager.reload(models(tmp_path, "a: {type: fake}"))
    manager.reload(models(tmp_path, "a: {type: fake}\nb: {type: fake}"))
    assert [about["pinned"] for about in manager.list_models().values()] == [True, False]


def test_only_registered_models_can_be_pinned(make: MakeManager) -> None:
    with pytest.raises(UnknownModel, match="'z' is not registered"):
        make({"a": FAKE}).pin("z")
