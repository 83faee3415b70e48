"""Environment variables and app.yaml: defaults, values and error messages."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from manager.config.model_spec import parse_spec
from manager.errors import ConfigError
from negotiation.app.machine_profile import GB, Machine
from negotiation.app.settings import SHIPPED, AppConfig, ArchiveSettings, read_settings
from negotiation.runs.store import Store
from negotiation.scenario.source import shipped_configs


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """The operator's config folder."""
    folder = tmp_path / "configs"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(tmp_path: Path, configs: Path) -> dict[str, str]:
    return {"PARLEY_HOME": str(tmp_path / "home"), "PARLEY_CONFIG": str(configs)}


def test_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings({})
    assert settings.home == tmp_path / ".parley"
    assert settings.cache == tmp_path / ".parley" / "cache"
    assert settings.database_url == f"sqlite:///{tmp_path}/.parley/data/parley.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.configs == SHIPPED


def test_an_installed_package_brings_its_own_configs(tmp_path: Path) -> None:
    package = tmp_path / "negotiation" / "app"
    package.mkdir(parents=True)
    assert shipped_configs(package) == tmp_path / "configs", "a checkout"
    (package / "configs").mkdir()
    assert shipped_configs(package) == package / "configs"


def test_every_wrong_variable_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({**environment, "PORT": "http", "PARLEY_DATASET": "runs"})
    assert str(caught.value).splitlines() == [
        "PARLEY_DATASET: 'runs' is not of the form owner/name",
        "PORT: 'http' is not a port number (1 to 65535)",
    ]


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    assert AppConfig.model_validate(yaml.safe_load((SHIPPED / "app.yaml").read_text())) == AppConfig()


def test_every_variable_takes_effect(environment: dict[str, str], tmp_path: Path, configs: Path) -> None:
    given = {**environment, "HOST": "0.0.0.0", "PORT": "8080", "DATABASE_URL": "postgresql://db/parley"}
    settings = read_settings(given)
    assert (settings.home, settings.configs) == (tmp_path / "home", configs)
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert settings.database_url == "postgresql://db/parley"


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    empty = dict.fromkeys(["PARLEY_HOME", "PARLEY_CONFIG", "PORT", "HOST", "DATABASE_URL"], "")
    assert read_settings(empty) == read_settings({})


def test_paths_may_be_relative_or_begin_with_a_tilde(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert read_settings({**environment, "PARLEY_HOME": "~/here"}).home == tmp_path / "here"
    assert read_settings({**environment, "PARLEY_HOME": "there"}).home == tmp_path / "there"


@pytest.mark.parametrize("name", ["50%41 off?", "a b", "größe 日本", "a#b&c=d", "100%"])
def test_the_database_is_in_the_data_folder_whatever_its_name(
    environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    settings = read_settings({**environment, "PARLEY_HOME": str(tmp_path / name)})
    Store(settings.database_url).close()
    assert (tmp_path / name / "data" / "parley.db").is_file()


def test_the_data_folder_is_made(environment: dict[str, str], tmp_path: Path) -> None:
    read_settings(environment)
    assert list((tmp_path / "home" / "data").iterdir()) == []
    assert (tmp_path / "home" / "data").stat().st_mode & 0o077 == 0, "other users of the machine see nothing of it"


def test_another_database_needs_no_data_folder(environment: dict[str, str], tmp_path: Path) -> None:
    read_settings({**environment, "DATABASE_URL": "sqlite://"})
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "port", ["0", "65536", "-1", "80.0", "http", " 80", "+80", "８０", "²", "9" * 5000, "0x50", "1e3", "\n"]
)
def test_a_bad_port_is_named(environment: dict[str, str], port: str) -> None:
    with pytest.raises(ConfigError, match=r"^PORT: '.{1,40}' is not a port number \(1 to 65535\)$"):
        read_settings({**environment, "PORT": port})


@pytest.mark.parametrize("port", ["1", "65535", "07860"])
def test_valid_ports(environment: dict[str, str], port: str) -> None:
    assert read_settings({**environment, "PORT": port}).port == int(port)


@pytest.mark.parametrize("name", ["missing", "a_file"])
def test_a_missing_config_folder_is_named(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "a_file").write_text("")
    with pytest.raises(ConfigError, match=rf"^PARLEY_CONFIG: '{tmp_path / name}' is not a folder$"):
        read_settings({**environment, "PARLEY_CONFIG": str(tmp_path / name)})


def test_a_data_folder_that_cannot_be_written_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("precious")
    with pytest.raises(ConfigError) as caught:
        read_settings({**environment, "PARLEY_HOME": str(tmp_path / "a_file")})
    folder = tmp_path / "a_file" / "data"
    assert str(caught.value) == (
        f"PARLEY_HOME: cannot write into '{folder}' (Not a directory); set it to a folder you may write to"
    )
    assert (tmp_path / "a_file").read_text() == "precious"


@pytest.mark.parametrize("variable", ["PARLEY_HOME", "PARLEY_CONFIG"])
def test_an_unknown_home_directory_is_named(environment: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: .*; set it to a folder$"):
        read_settings({**environment, variable: "~no-such-user-here/parley"})


# -- app.yaml --------------------------------------------------------------------------------------------------


def test_app_yaml_takes_effect(environment: dict[str, str], configs: Path) -> None:
    (configs / "app.yaml").write_text(
        "max_loaded_models: 3\nmemory_budget: {'cuda:0': 20, cpu: 7.5}\norphan_grace_seconds: 0\nmax_queue: 5\n"
        "max_loaded_on: {'cuda:1': 1}\nparking_memory: 0\n"
    )
    app = read_settings(environment).app
    assert (app.max_loaded_models, app.orphan_grace_seconds, app.max_queue) == (3, 0, 5)
    assert app.memory_budget == {"cuda:0": 20, "cpu": 7.5}
    assert (app.max_loaded_on, app.parking_memory) == ({"cuda:1": 1}, 0)
    assert app.max_wait_seconds == AppConfig().max_wait_seconds


@pytest.mark.parametrize("text", [None, "", "# nothing here\n", "{}"])
def test_without_keys_the_defaults_apply(environment: dict[str, str], configs: Path, text: str | None) -> None:
    if text is not None:
        (configs / "app.yaml").write_text(text)
    assert read_settings(environment, Machine(16 * GB)).app == AppConfig()


def test_app_yaml_overrides_what_follows_from_the_machine(environment: dict[str, str], configs: Path) -> None:
    small, large = Machine(2 * GB), Machine(64 * GB, gpus=(80 * GB,))
    assert read_settings(environment, small).app.max_loaded_models == 1
    assert read_settings(environment, large).app.max_loaded_models == 4
    space = {**environment, "SPACE_ID": "me/parley", "MEMORY": "16Gi"}
    assert read_settings(space, large).app.memory_budget == {"cpu": 12.9}
    (configs / "app.yaml").write_text("max_loaded_models: 3\nmemory_budget: {cpu: 5}\noffer: all")
    for machine in (small, large):
        settings = read_settings(space, machine)
        assert settings.app.max_loaded_models == 3
        assert settings.app.memory_budget == {"cpu": 5}
        assert settings.misfit(parse_spec("m", {"model_name": "a/b", "size": "900B"})) == ""


def test_an_operators_budget_says_what_fits(environment: dict[str, str], configs: Path) -> None:
    model = parse_spec("m", {"model_name": "a/b", "size": "7B"})
    assert "has 12.0 GB" in read_settings(environment, Machine(16 * GB)).misfit(model)
    (configs / "app.yaml").write_text("memory_budget: {cpu: 20}")
    assert read_settings(environment, Machine(16 * GB)).misfit(model) == ""
    (configs / "app.yaml").write_text("memory_budget: {cpu: 2}")
    assert "has 2.0 GB" in read_settings(environment, Machine(64 * GB)).misfit(model)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_loaded_modles: 2", "key 'max_loaded_modles': unknown key (known: max_loaded_models, max_loaded_on,"),
        ("max_loaded_models: 0", "key 'max_loaded_models': must be at least 1, got '0'"),
        ("max_loaded_models: yes", "key 'max_loaded_models': must be a whole number, got 'true'"),
        ("max_loaded_models: '2'", "key 'max_loaded_models': must be a whole number, got '2'"),
        ("max_loaded_models: 1.5", "key 'max_loaded_models': must be a whole number"),
        ("max_queue: 0", "key 'max_queue': "),
        ("max_wait_seconds: 0", "key 'max_wait_seconds': "),
        ("max_wait_seconds: .nan", "key 'max_wait_seconds': must be a finite number, got 'nan'"),
        ("orphan_grace_seconds: -1", "key 'orphan_grace_seconds': "),
        ("orphan_grace_seconds: soon", "key 'orphan_grace_seconds': "),
        ("max_loaded_on: {'cuda:1': 0}", "key 'max_loaded_on.cuda:1': "),
        ("parking_memory: -1", "key 'parking_memory': "),
        ("memory_budget: 20", "key 'memory_budget': "),
        ("memory_budget: {cuda0: 20}", "key 'memory_budget.cuda0"),
        ("memory_budget: {gpu: 20}", "key 'memory_budget.gpu"),
        ("memory_budget: {cpu: 0}", "key 'memory_budget.cpu': "),
        ("memory_budget: {cpu: .inf}", "key 'memory_budget.cpu': must be a finite number, got 'inf'"),
        ("memory_budget: {0: 20}", "key 'memory_budget.0"),
        ("[]", "expected keys with values (key: value), got a list"),
        ("0", "expected keys with values (key: value), got a number"),
        ("no", "expected keys with values (key: value), got true or false"),
    ],
)
def test_errors_in_app_yaml_are_named(environment: dict[str, str], configs: Path, text: str, says: str) -> None:
    (configs / "app.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(environment)
    assert str(caught.value).startswith(f"{configs / 'app.yaml'}: {says}")


def test_a_config_folder_overrides_the_shipped_one_file_by_file(environment: dict[str, str], configs: Path) -> None:
    settings = read_settings(environment)
    assert settings.config_file("models.yaml") == SHIPPED / "models.yaml"
    (configs / "models.yaml").write_text("{}")
    assert settings.config_file("models.yaml") == configs / "models.yaml"
    assert settings.config_file("scenarios") == SHIPPED / "scenarios"


SPACE = {"SPACE_ID": "me/parley"}


def test_a_space_archives_runs_in_its_volume_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bare, mounted = Machine(16 * GB), Machine(16 * GB, volume=tmp_path / "volume")
    assert read_settings({}, mounted).archive is None
    assert read_settings(SPACE, bare).archive is None
    settings = read_settings(SPACE, mounted)
    assert settings.archive == ArchiveSettings(tmp_path / "volume" / "parley")
    assert settings.database_url == f"sqlite:///{tmp_path}/.parley/data/parley.db"  # on the Space's own disk
    for told in ({"DATABASE_URL": "sqlite://"}, {"PARLEY_HOME": str(tmp_path / "home")}):
        assert read_settings({**SPACE, **told}, mounted).archive is None


def test_the_archive_can_be_chosen(environment: dict[str, str], tmp_path: Path) -> None:
    folder = read_settings({**environment, "PARLEY_ARCHIVE": str(tmp_path / "a")}).archive
    assert folder == ArchiveSettings(tmp_path / "a")
    dataset = read_settings({**environment, "PARLEY_DATASET": "me/runs", "HF_TOKEN": "hf_secret"})
    assert dataset.archive == ArchiveSettings(tmp_path / "home" / "archive", "me/runs", "hf_secret")
    assert "hf_secret" not in repr(dataset)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"PARLEY_DATASET": "me/runs"}, "PARLEY_DATASET: set HF_TOKEN to a token that may write to that dataset"),
        ({"PARLEY_DATASET": "runs", "HF_TOKEN": "x"}, "PARLEY_DATASET: 'runs' is not of the form owner/name"),
        (
            {"PARLEY_DATASET": "me/runs", "HF_TOKEN": "x", "PARLEY_ARCHIVE": "a"},
            "PARLEY_DATASET and PARLEY_ARCHIVE are both set; keep one of them",
        ),
    ],
)
def test_wrong_archives_are_named(environment: dict[str, str], given: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({**environment, **given})
    assert str(caught.value) == says


def test_a_space_without_an_archive_loses_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings(SPACE, Machine(GB)).forgets
    assert not read_settings({}, Machine(GB)).forgets
    assert not read_settings(SPACE, Machine(GB, volume=tmp_path)).forgets
    assert not read_settings({**SPACE, "DATABASE_URL": "postgresql://db/parley"}, Machine(GB)).forgets


def test_settings_cannot_be_changed(environment: dict[str, str]) -> None:
    settings = read_settings(environment)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, "127.0.0.1"),
        ({"SPACE_ID": "someone/parley"}, "0.0.0.0"),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "0.0.0.0"),
        ({"SPACE_ID": "someone/parley", "HOST": "10.0.0.1", "GRADIO_SERVER_NAME": "0.0.0.0"}, "10.0.0.1"),
    ],
)
def test_spaces_listen_on_all_addresses(environment: dict[str, str], given: dict[str, str], host: str) -> None:
    assert read_settings({**environment, **given}).host == host
