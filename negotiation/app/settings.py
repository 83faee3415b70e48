"""Where Parley keeps things and how it is set up: environment variables and configs/app.yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from manager.config.registry import ModelSpec
from manager.config.strict_yaml import read_yaml, shown, validate
from manager.errors import ConfigError
from negotiation.admission.limits import NAMED, Limits
from negotiation.app.machine_profile import Machine, Profile, profile

SHIPPED = Path(__file__).resolve().parents[2] / "configs"


Device = Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:[0-9]+)?)$")]


class AppConfig(BaseModel):
    """The keys of app.yaml; they are explained there."""

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
    """Where runs are kept beside the database: in a folder, or in a dataset repository that the token opens."""

    folder: Path
    dataset: str | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything that depends on the machine and its owner."""

    home: Path
    configs: Path
    database_url: str
    host: str
    port: int
    app: AppConfig  # what the file leaves open is filled in by the profile
    profile: Profile
    operator_password: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    archive: ArchiveSettings | None = None

    @property
    def forgets(self) -> bool:
        """Whether runs are lost when the machine restarts."""
        return self.profile.is_space and self.archive is None and self.database_url == _database_in(self.home)

    @property
    def cache(self) -> Path:
        """Where converted weights are kept."""
        return self.home / "cache"

    def misfit(self, spec: ModelSpec) -> str:
        """Why a model is not offered here; empty if it is."""
        return "" if self.app.offer == "all" else self.profile.misfit(spec, self.app.memory_budget)

    def config_file(self, name: str) -> Path:
        """A file or folder of the own config folder, or the shipped one where it is missing there."""
        return _own_or_shipped(self.configs, name)


def read_settings(environment: Mapping[str, str] = os.environ, machine: Machine | None = None) -> Settings:
    """The settings on a machine (default: this one); raises ConfigError naming the variable or file that is wrong."""
    home = _folder(environment, "PARLEY_HOME", "~/.parley")
    configs = _folder(environment, "PARLEY_CONFIG", str(SHIPPED))
    if not configs.is_dir():
        raise ConfigError(f"PARLEY_CONFIG: '{configs}' is not a folder")
    text = environment.get("PORT") or "7860"
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ConfigError(f"PORT: {shown(text, 40)} is not a port number (1 to 65535)")
    url = environment.get("DATABASE_URL") or _database_in(_writable(home / "data").parent)
    app = _own_or_shipped(configs, "app.yaml")
    given = read_yaml(app)
    config = validate(AppConfig, _limited({} if given is None else given, environment), str(app))
    machine = machine or Machine.look()
    found = profile(environment, machine)
    open_keys: dict[str, Any] = {k: v for k, v in found.defaults.items() if k not in config.model_fields_set}
    config = config.model_copy(update=open_keys)
    password = environment.get("PARLEY_OPERATOR_PASSWORD") or None
    token = environment.get("METRICS_TOKEN", "").strip() or None
    archive = _archive(environment, home, machine.volume)
    return Settings(home, configs, url, _host(environment), int(text), config, found, password, token, archive)


def _archive(environment: Mapping[str, str], home: Path, volume: Path | None) -> ArchiveSettings | None:
    """Where runs are archived: as told; else in a Space's volume, if nobody said where runs are to be kept."""
    dataset, folder = environment.get("PARLEY_DATASET"), environment.get("PARLEY_ARCHIVE")
    if dataset:
        if folder:
            raise ConfigError("PARLEY_DATASET and PARLEY_ARCHIVE are both set; keep one of them")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", dataset):
            raise ConfigError(f"PARLEY_DATASET: {shown(dataset, 80)} is not of the form owner/name")
        if not environment.get("HF_TOKEN"):
            raise ConfigError("PARLEY_DATASET: set HF_TOKEN to a token that may write to that dataset")
        return ArchiveSettings(home / "archive", dataset, environment["HF_TOKEN"])
    if folder:
        return ArchiveSettings(_folder(environment, "PARLEY_ARCHIVE", folder))
    told = environment.get("DATABASE_URL") or environment.get("PARLEY_HOME")
    return ArchiveSettings(volume / "parley") if volume and environment.get("SPACE_ID") and not told else None


def _own_or_shipped(configs: Path, name: str) -> Path:
    own = configs / name
    return own if own.exists() else SHIPPED / name


def _limited(given: Any, environment: Mapping[str, str]) -> Any:
    """The keys of app.yaml, its limits completed by the set that PARLEY_LIMITS names (on Spaces: public)."""
    name = environment.get("PARLEY_LIMITS") or ("public" if environment.get("SPACE_ID") else "private")
    if name not in NAMED:
        raise ConfigError(f"PARLEY_LIMITS: {shown(name, 40)} is no set of limits; use one of {', '.join(NAMED)}")
    if not isinstance(given, dict) or not isinstance(given.get("limits", {}), dict):
        return given
    return {**given, "limits": {**asdict(NAMED[name]), **given.get("limits", {})}}


def _host(environment: Mapping[str, str]) -> str:
    """Where to listen: as told, by Gradio's own variable too; everywhere on Spaces, else on this machine only."""
    told = environment.get("HOST") or environment.get("GRADIO_SERVER_NAME")
    return told or ("0.0.0.0" if environment.get("SPACE_ID") else "127.0.0.1")


def _folder(environment: Mapping[str, str], variable: str, default: str) -> Path:
    try:
        return Path(environment.get(variable) or default).expanduser().absolute()
    except RuntimeError as error:  # ~ or ~name, and nobody knows where that is
        raise ConfigError(f"{variable}: {error}; set it to a folder") from None


def _database(path: Path) -> str:
    """The URL of a database file; in a URL, % and ? mean something."""
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def _database_in(home: Path) -> str:
    return _database(home / "data" / "parley.db")


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # runs and cookies are in it: not for other users
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"PARLEY_HOME: cannot write into '{folder}' ({error.strerror}); set it to a folder you may write to"
        ) from None
    return folder
