"""The settings, from environment variables and configs/app.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from manager.config.model_spec import ModelSpec
from manager.config.strict_yaml import read_yaml, validate
from manager.errors import ConfigError
from negotiation.admission.limits import NAMED, Limits
from negotiation.app.environment import OFF, Environment, read_environment
from negotiation.app.machine_profile import Machine, Profile, profile
from negotiation.app.sign_in import SignIn, contributes_to, serves_its_own_user, sign_in
from negotiation.scenario.source import SHIPPED as SHIPPED

Device = Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:[0-9]+)?)$")]


class AppConfig(BaseModel):
    """The keys of app.yaml, which explains them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    max_loaded_models: Annotated[int, Field(ge=1)] = 2
    max_loaded_on: dict[Device, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    memory_budget: dict[Device, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    parking_memory: Annotated[float, Field(ge=0)] | None = None
    max_queue: Annotated[int, Field(ge=1)] = 256
    max_wait_seconds: Annotated[float, Field(gt=0)] = 600.0
    orphan_grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 20.0
    limits: Limits = Limits()
    offer: Literal["fitting", "all"] = "fitting"


@dataclass(frozen=True)
class ArchiveSettings:
    """The archive of runs: a folder, or a dataset repository and the token for it."""

    folder: Path
    dataset: str | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything that depends on the machine and its operator."""

    home: Path
    configs: Path
    database_url: str
    host: str
    port: int
    app: AppConfig  # keys that the file leaves out come from the profile
    profile: Profile
    operator_password: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    archive: ArchiveSettings | None = None
    providers: str | None = None  # the router of models on the visitor's own account; None offers none
    sign_in: SignIn = "none"  # how visitors bring their account
    contributes_to: str | None = None  # the Hub to which they can contribute runs
    own_machine: bool = False  # whether only the person at this machine can open the page
    pace: str = "normal"  # at which the page shows scripted turns to a first visit

    @property
    def forgets(self) -> bool:
        """Whether a restart of the machine loses all runs."""
        return self.profile.is_space and self.archive is None and self.database_url == _database_in(self.home)

    @property
    def cache(self) -> Path:
        """Folder of converted weights."""
        return self.home / "cache"

    def misfit(self, spec: ModelSpec) -> str:
        """Return why a model is not offered here; empty if it is."""
        return "" if self.app.offer == "all" else self.profile.misfit(spec, self.app.memory_budget)

    def config_file(self, name: str) -> Path:
        """Return a file or folder of the operator's configuration, or the shipped one if it is missing there."""
        return _own_or_shipped(self.configs, name)


def read_settings(environment: Mapping[str, str] = os.environ, machine: Machine | None = None) -> Settings:
    """Return the settings for a machine (by default this one).

    Raises:
        ConfigError: An environment variable or app.yaml is wrong; the message names the variable, or the file and key.
    """
    given = read_environment(environment)
    path = _own_or_shipped(given.parley_config, "app.yaml")
    config = validate(AppConfig, _with_limits(read_yaml(path), given), str(path))
    machine = machine or Machine.look()
    found = profile(environment, machine)
    open_keys: dict[str, Any] = {k: v for k, v in found.defaults.items() if k not in config.model_fields_set}
    home = given.parley_home
    host = given.host or given.gradio_server_name or ("0.0.0.0" if given.space_id else "127.0.0.1")
    providers = None if given.parley_providers == OFF else given.parley_providers
    return Settings(
        home=home,
        configs=given.parley_config,
        database_url=given.database_url or _database_in(_writable(home / "data").parent),
        host=host,
        port=given.port,
        app=config.model_copy(update=open_keys),
        profile=found,
        operator_password=given.parley_operator_password,
        metrics_token=given.metrics_token or None,
        archive=_archive(given, machine.volume),
        providers=providers,
        sign_in=(how := sign_in(environment, providers)),
        contributes_to=contributes_to(environment, how),
        own_machine=serves_its_own_user(host, environment),
        pace=given.parley_pace,
    )


def _archive(given: Environment, volume: Path | None) -> ArchiveSettings | None:
    """Return where to archive runs: where the operator says, else in a Space's volume if they chose no place at all."""
    if given.parley_dataset:
        return ArchiveSettings(given.parley_home / "archive", given.parley_dataset, given.hf_token or "")
    if given.parley_archive:
        return ArchiveSettings(given.parley_archive)
    chosen = given.database_url or "parley_home" in given.model_fields_set
    return ArchiveSettings(volume / "parley") if volume and given.space_id and not chosen else None


def _own_or_shipped(configs: Path, name: str) -> Path:
    own = configs / name
    return own if own.exists() else SHIPPED / name


def _with_limits(app: Any, given: Environment) -> Any:
    """Return the keys of app.yaml with limits completed from the set in PARLEY_LIMITS (on Spaces, public)."""
    named = NAMED[given.parley_limits or ("public" if given.space_id else "private")]
    app = {} if app is None else app  # an empty file
    if not isinstance(app, dict) or not isinstance(app.get("limits", {}), dict):
        return app
    return {**app, "limits": {**asdict(named), **app.get("limits", {})}}


def _database(path: Path) -> str:
    """Return the URL of a database file, with % and ? escaped."""
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def _database_in(home: Path) -> str:
    return _database(home / "data" / "parley.db")


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # contains runs and cookies: not for other users
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"PARLEY_HOME: cannot write into '{folder}' ({error.strerror}); set it to a folder you may write to"
        ) from None
    return folder
