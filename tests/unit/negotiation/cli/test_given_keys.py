"""Models that say `credentials: visitor` on the command line: the user's own key, and where it is never found."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from manager.backends.remote import pacing
from negotiation.agents.purse import LIMIT
from negotiation.cli import main as cli
from tests.support.listed_models import lists
from tests.support.router import Account, Router

ROOT = Path(__file__).resolve().parents[4]
KEY = "0123456789abcdef-of-the-user"
PRICE = {"input": 1.0, "output": 10.0}  # a reply of the router costs $0.002
GAME = ("--scenario", "company_car", "--b", "boulware")
COMPARED = ("--scenario", "company_car", "--model-1", "strong", "--model-2", "linear", "--opponent", "boulware")


class Shell:
    """Runs commands in a home of its own, with a router whose one account has the user's key."""

    def __init__(self, router: Router, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.router, self.home, self._capsys = router, home, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        status = cli.main(arguments)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def models(self, **entries: Any) -> None:
        """Write models.yaml."""
        (self.home / "configs" / "models.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(entries))))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    monkeypatch.setattr(pacing, "FIRST_PAUSE", 0.002)
    router = Router()
    router.accounts = {KEY: Account()}
    router.looked = lists({"maker/Strong-70B": 0.6})
    (tmp_path / "configs").mkdir()
    for name, value in {
        "PARLEY_CONFIG": str(tmp_path / "configs"),
        "PARLEY_HOME": str(tmp_path / "home"),
        "PARLEY_PROVIDERS": router.base_url,
        "NO_PROXY": "127.0.0.1",
        "MY_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("DATABASE_URL", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    shell = Shell(router, tmp_path, capsys)
    shell.models(strong=router.entry(price=PRICE), local={"type": "fake"})
    yield shell
    router.close()


def trace(shell: Shell, key: str) -> list[str]:
    """Return the files in which a key is found."""
    files = [path for path in (shell.home / "home").rglob("*") if path.is_file()]
    assert any(path.name == "parley.db" for path in files)
    return [path.name for path in files if key.encode() in path.read_bytes()]


def test_a_run_is_paid_with_the_key_in_a_variable(shell: Shell) -> None:
    status, out, err = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY", "--json", "-")
    assert (status, json.loads(out)["status"]) == (0, "done")
    assert set(shell.router.keys) == {KEY}
    assert KEY not in out + err
    assert not trace(shell, KEY)
    assert f"cost on your own key: ${json.loads(out)['cost']:.4f}".rstrip("0") in err
    assert f"limit ${LIMIT}" in err


def test_models_of_the_router_need_nothing_but_a_key(shell: Shell) -> None:
    status, out, _ = shell("run", *GAME, "--a", "hf/maker/Strong-70B", "--api-key", "MY_KEY", "--json", "-")
    assert (status, json.loads(out)["cost"] > 0) == (0, True)
    assert set(shell.router.keys) == {KEY}


def test_the_key_is_asked_for_without_being_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def typed(words: str) -> str:
        asked.append(words)
        return KEY

    monkeypatch.setattr(getpass, "getpass", typed)
    status, out, err = shell("run", *GAME, "--a", "strong", "--ask-api-key")
    assert status == 0
    assert len(asked) == 1
    assert shell.router.base_url.split("/")[2] in asked[0]
    assert KEY not in out + err


def test_the_terminal_shows_nothing_of_the_key(shell: Shell) -> None:
    """Type into the real prompt, on a terminal of its own."""
    command = [sys.executable, "-m", "negotiation", "run", *GAME, "--a", "strong", "--ask-api-key"]
    on_terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)", *command]
    with subprocess.Popen(
        on_terminal, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "MY_KEY": ""}
    ) as shown:
        assert shown.stdin is not None
        assert shown.stdout is not None
        screen = b""
        while b"(not shown): " not in screen:
            read = os.read(shown.stdout.fileno(), 1000)
            assert read, screen
            screen += read
        shown.stdin.write(KEY.encode() + b"\n")
        shown.stdin.flush()
        screen += shown.stdout.read()
        assert shown.wait() == 0
    assert KEY.encode() not in screen
    assert b"points out of 100" in screen
    assert set(shell.router.keys) == {KEY}


def test_without_a_terminal_nothing_is_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def shows_what_is_typed(words: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return KEY

    monkeypatch.setattr(getpass, "getpass", shows_what_is_typed)
    status, _, err = shell("run", *GAME, "--a", "strong", "--ask-api-key")
    assert (status, "no terminal to ask on" in err) == (1, True)
    assert not shell.router.calls


def test_a_model_that_needs_a_key_says_how_to_give_one(shell: Shell) -> None:
    for command in (
        ("run", *GAME, "--a", "strong"),
        ("compare", *COMPARED),
        ("tournament", str(tournament(shell, "strong"))),
    ):
        status, _, err = shell(*command)
        assert status == 1
        assert "'strong' needs a key of your own" in err
        assert "--api-key VARIABLE" in err
        assert "--ask-api-key" in err
    assert not shell.router.calls
    assert not shell("tournaments")[1]


@pytest.mark.parametrize("given", [KEY, f"127.0.0.1={KEY}", "hf_0123456789abcdef0123456789abcdef", "NOT_SET"])
def test_a_key_in_place_of_a_variable_is_refused_and_not_repeated(shell: Shell, given: str) -> None:
    status, out, err = shell("run", *GAME, "--a", "strong", "--api-key", given)
    assert status == 1
    assert "--api-key" in err
    assert given not in out + err
    assert given.rpartition("=")[2] not in out + err
    assert not shell.router.calls


def test_what_cannot_be_a_key_is_refused_and_not_repeated(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "two words")
    status, out, err = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY")
    assert (status, "does not look like a key" in err) == (1, True)
    assert "two words" not in out + err


def test_a_key_that_the_server_refuses_ends_the_run_with_what_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "0123456789abcdef-of-nobody")
    status, out, err = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY")
    assert (status, "key" in out) == (1, True)
    assert "0123456789abcdef-of-nobody" not in out + err
    assert not trace(shell, "0123456789abcdef-of-nobody")


def test_only_one_way_to_give_a_key_at_a_time(shell: Shell) -> None:
    status, _, err = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY", "--ask-api-key")
    assert (status, "use only one of them" in err) == (1, True)


def test_a_key_that_nothing_needs_is_not_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda words: pytest.fail("nobody is asked"))
    assert shell("run", *GAME, "--a", "linear", "--ask-api-key")[0] == 0
    status, _, err = shell("run", *GAME, "--a", "linear", "--api-key", "NOT_SET")
    assert (status, "not used" in err) == (0, True)


def test_each_server_gets_its_own_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Router()
    other.accounts = {"0123456789abcdef-other": Account()}
    monkeypatch.setenv("OTHER_KEY", "0123456789abcdef-other")
    shell.models(strong=shell.router.entry(price=PRICE), weak=other.entry(price=PRICE, model_name="org/weak"))
    game = ("run", "--scenario", "company_car", "--a", "strong", "--b", "weak")
    hosts = [router.base_url.split("/")[2] for router in (shell.router, other)]
    status, _, err = shell(*game, "--api-key", "MY_KEY")
    assert (status, [host in err for host in hosts]) == (1, [True, True]), err
    both = [f"{host}={variable}" for host, variable in zip(hosts, ("MY_KEY", "OTHER_KEY"), strict=True)]
    assert shell(*game, "--api-key", both[0], "--api-key", both[1])[0] == 0
    assert (set(shell.router.keys), set(other.keys)) == ({KEY}, {"0123456789abcdef-other"})
    other.close()


def test_a_run_stops_before_it_could_cost_more_than_its_limit(shell: Shell) -> None:
    status, out, _ = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY", "--cost-limit", "0.001")
    assert (status, "stopped at your limit of $0.0010" in out) == (1, True)


def test_a_model_without_a_price_is_named(shell: Shell) -> None:
    shell.models(strong=shell.router.entry())
    status, _, err = shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY")
    assert (status, "strong: its price is not known" in err) == (0, True)


def test_a_comparison_shares_the_sum_of_its_limits(shell: Shell) -> None:
    asked = ("compare", *COMPARED, "--pairs", "1", "--api-key", "MY_KEY")
    status, _, err = shell(*asked, "--cost-limit", "0.1")
    assert (status, "limit $0.40" in err) == (0, True)
    status, _, err = shell(*asked, "--cost-limit", "0.0001")
    assert (status, "stopped at your limit" in err) == (1, True)


def test_a_run_is_played_again_with_the_key(shell: Shell) -> None:
    run_id = json.loads(shell("run", *GAME, "--a", "strong", "--api-key", "MY_KEY", "--json", "-")[1])["run_id"]
    begun = len(shell.router.calls)
    status, _, err = shell("reproduce", run_id)
    assert (status, "needs a key of your own" in err) == (1, True)
    status, out, err = shell("reproduce", run_id, "--api-key", "MY_KEY")
    assert "turns are the same" in out or "identical" in out
    assert "cost on your own key: $" in err
    assert set(shell.router.keys[begun:]) == {KEY}


def test_an_agent_is_attacked_with_the_key(shell: Shell) -> None:
    status, out, err = shell("attack", "strong", "gullible", "--rounds", "1", "--api-key", "MY_KEY")
    assert (status, "cost on your own key: $" in err) == (0, True), out
    assert set(shell.router.keys) == {KEY}


def tournament(shell: Shell, *models: str) -> Path:
    path = shell.home / "cup.yaml"
    plan = {"title": "Cup", "models": [*models], "baselines": ["boulware"], "scenarios": ["company_car"], "pairs": 1}
    path.write_text(yaml.safe_dump(plan | {"limits": {"at_once": 1, "retry_seconds": 0}}))
    return path


@pytest.mark.parametrize("model", ["strong", "hf/maker/Strong-70B"])
def test_a_tournament_is_paid_with_the_key(shell: Shell, model: str) -> None:
    status, out, err = shell("tournament", str(tournament(shell, model)), "--api-key", "MY_KEY")
    assert (status, model in out) == (0, True)
    assert set(shell.router.keys) == {KEY}
    assert "cost on your own key: $" in err
    assert not trace(shell, KEY)


def test_a_tournament_that_cannot_be_paid_for_stops_and_can_be_resumed(shell: Shell) -> None:
    plan = str(tournament(shell, "strong"))
    status, out, _ = shell("tournament", plan, "--api-key", "MY_KEY", "--cost-limit", "0.002")
    assert (status, "stopped at your limit" in out) == (1, True)
    assert "stopped" in shell("tournaments")[1]
    status, out, _ = shell("tournament", plan, "--resume", "--api-key", "MY_KEY")
    assert (status, "done" in out.splitlines()[0]) == (0, True)


def test_a_key_does_not_go_to_other_machines(shell: Shell) -> None:
    status, _, err = shell("tournament", str(tournament(shell, "strong")), "--executor", "ray", "--api-key", "MY_KEY")
    assert (status, "the key stays here" in err) == (1, True)
