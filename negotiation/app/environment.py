"""Parley's environment variables. Empty ones count as unset; those of a Space are read in machine_profile.py."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from manager.config.provider_catalog import ROUTER
from manager.config.strict_yaml import problems, shown
from manager.errors import ConfigError
from negotiation.admission.limits import NAMED
from negotiation.scenario.source import SHIPPED


def _folder(given: Any) -> Path:
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:  # ~ or ~name without a known home directory
        raise ValueError(f"{error}; set it to a folder") from None


def _port(given: Any) -> int:
    if not re.fullmatch("[0-9]{1,5}", str(given)) or not 0 < int(given) < 65536:
        raise ValueError(f"{shown(given, 40)} is not a port number (1 to 65535)")
    return int(given)


def _limits(given: str) -> str:
    if given not in NAMED:
        raise ValueError(f"{shown(given, 40)} is not a set of limits; use one of {', '.join(NAMED)}")
    return given


def _providers(given: str) -> str:
    parts = urlsplit(given)
    if given != OFF and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError(f"{shown(given, 80)} is neither a URL such as {ROUTER} nor '{OFF}'")
    return given


def _dataset(given: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", given):
        raise ValueError(f"{shown(given, 80)} is not of the form owner/name")
    return given


OFF = "off"
Folder = Annotated[Path, BeforeValidator(_folder)]


class Environment(BaseSettings):
    """The variables, each named like its field in capitals."""

    model_config = SettingsConfigDict(
        alias_generator=str.upper, case_sensitive=True, env_ignore_empty=True, extra="ignore", frozen=True
    )

    parley_home: Folder = Path("~/.parley")
    parley_config: Folder = SHIPPED
    parley_limits: Annotated[str, AfterValidator(_limits)] | None = None
    parley_pace: Literal["slow", "normal", "fast", "instant"] = "normal"
    parley_providers: Annotated[str, AfterValidator(_providers)] = ROUTER
    parley_operator_password: str | None = Field(None, repr=False)
    parley_archive: Folder | None = None
    parley_dataset: Annotated[str, AfterValidator(_dataset)] | None = None
    hf_token: str | None = Field(None, repr=False)
    database_url: str | None = Field(None, repr=False)
    metrics_token: Annotated[str, AfterValidator(str.strip)] | None = Field(None, repr=False)
    host: str | None = None
    gradio_server_name: str | None = None
    port: Annotated[int, BeforeValidator(_port)] = 7860
    space_id: str | None = None

    @field_validator("parley_config")
    @classmethod
    def _exists(cls, folder: Path) -> Path:
        if not folder.is_dir():
            raise ValueError(f"'{folder}' is not a folder")
        return folder

    @model_validator(mode="after")
    def _one_archive(self) -> Environment:
        if self.parley_dataset and self.parley_archive:
            raise ValueError("PARLEY_DATASET and PARLEY_ARCHIVE are both set; keep one of them")
        if self.parley_dataset and not self.hf_token:
            raise ValueError("PARLEY_DATASET: set HF_TOKEN to a token that may write to that dataset")
        return self


class _Variables(EnvSettingsSource):
    """The variables in a mapping, which need not be those of this process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(Environment)
        self.env_vars = {name: value for name, value in environment.items() if value}


def read_environment(environment: Mapping[str, str] = os.environ) -> Environment:
    """Return the variables that Parley knows; raises ConfigError naming each that is wrong."""
    given = _Variables(environment)()
    try:
        return Environment.model_validate(given)
    except ValidationError as error:
        found = problems(Environment, error, given)
        raise ConfigError("\n".join(f"{name}: {words}" if name else words for name, words in found), found) from None
