"""One entry of models.yaml as a ModelSpec, and the key of the weights that it uses.

Only the entry itself is checked here. Backends check files, networks and packages when a model is first used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from manager.config.strict_yaml import validate
from manager.errors import ConfigError

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _StrictEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class GenerationConfig(_StrictEntry):
    """A model's generation settings, which a request may override."""

    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=5)] = 1.0
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)] = 320
    stop: tuple[str, ...] = ()
    reproducible: bool = False  # never batched, so that the same seed always gives the same text


class Price(_StrictEntry):
    """The price of a million tokens, in US dollars."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    def of(self, prompt_tokens: int, tokens: int) -> float:
        """Return the price of a prompt and a reply, in US dollars.

        >>> Price(input=0.5, output=2).of(1000, 250)
        0.001
        """
        return round((prompt_tokens * self.input + tokens * self.output) / 1e6, 9)


class Timeouts(_StrictEntry):
    """How long a remote server may be silent, in seconds."""

    connect: Seconds = 10.0
    first_token: Seconds = 120.0
    between_tokens: Seconds = 30.0


class ModelSpec(_StrictEntry):
    """One entry of the registry: its weights and their settings. configs/models.yaml explains the keys."""

    model_id: str
    model_name: str = ""
    type: str = "huggingface"
    label: str = ""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    revision: str | None = None
    gguf_file: str | None = None
    sha256: str | None = None
    quantization: str | None = None
    adapters: tuple[str, ...] = ()
    allow_pickle: bool = False
    generation_config: GenerationConfig = GenerationConfig()
    pinned: bool = False
    idle_seconds: Positive | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    license: str = ""
    gated: bool = False
    size: str = ""
    # remote models
    api_key: str | None = None
    credentials: Literal["visitor"] | None = None
    base_url: str | None = None
    price: Price | None = None
    timeouts: Timeouts = Timeouts()
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    requests_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    public_only: bool = False
    extra_body: dict[str, Any] = Field(default_factory=dict)
    # the fake backend
    load_seconds: Annotated[float, Field(ge=0)] = 0.0
    unload_seconds: Annotated[float, Field(ge=0)] = 0.0
    tokens_per_second: Positive | None = None
    size_bytes: Annotated[int, Field(ge=0)] = 0
    replies: tuple[str, ...] = ()
    fail_loads: Annotated[int, Field(ge=0)] = 0

    @field_validator("model_id")
    @classmethod
    def _plain_id(cls, value: str) -> str:
        if not MODEL_ID.fullmatch(value):
            raise ValueError("a model id has at most 100 characters: letters, digits and . _ : / -")
        return value

    @field_validator("gguf_file")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        parts = re.split(r"[/\\]", value or "")
        if value and (parts[0] == "" or ".." in parts):
            raise ValueError("write a path inside the repository, folder or package, without .. or a leading /")
        return value

    @field_validator("adapters")
    @classmethod
    def _shipped(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name.startswith("shipped:") and not re.fullmatch(r"shipped:[a-z0-9][a-z0-9.-]*", name):
                raise ValueError("write the name of an adapter that comes with Parley, as in shipped:parley-135m")
        return value

    @field_validator("sha256")
    @classmethod
    def _digest(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise ValueError("write the 64 hexadecimal digits that sha256sum prints")
        return value

    @field_validator("api_key")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
            # The message does not repeat the value, which may be a secret.
            raise ValueError("write the NAME of an environment variable (such as OPENAI_API_KEY), never the key itself")
        return value

    @field_validator("extra_body")
    @classmethod
    def _fields_of_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted({"model", "messages", "stream"} & value.keys()):
            raise ValueError(f"'{taken[0]}' is set by Parley; leave it out")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("write only texts, numbers, true, false, lists and mappings, as in JSON") from None
        return value

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        # The messages do not repeat the value, which may contain a secret.
        try:
            parts = urlsplit(value or "http://none")
            odd = parts.username or parts.password or parts.query or parts.fragment or parts.port == 0
        except ValueError:
            raise ValueError("not a URL (write one such as http://127.0.0.1:8000/v1)") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\\\x00-\x1f]", value or ""):
            raise ValueError("must begin with http:// or https:// and a host (such as http://127.0.0.1:8000/v1)")
        if odd:
            raise ValueError("leave out user names, passwords, and anything after ? or #; for API keys, use 'api_key'")
        return value

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> ModelSpec:
        if self.type != "fake" and not self.model_name:
            raise ValueError(
                "key 'model_name': missing (a Hub repository, a folder, or the model's name on its server)"
            )
        if self.sha256 and not self.gguf_file:
            raise ValueError("key 'sha256': it is the digest of a GGUF file; name that as 'gguf_file'")
        if self.type == "openai" and not self.base_url:
            raise ValueError("key 'base_url': missing (the URL of the OpenAI-compatible server)")
        if self.credentials and self.type != "openai":
            raise ValueError(
                f"key 'credentials': only remote models (type openai) use keys, not those of type '{self.type}'"
            )
        if self.credentials and self.api_key:
            raise ValueError("key 'credentials': not allowed with 'api_key'; keep one: whose key is it?")
        if self.credentials and self.public_only:
            raise ValueError("key 'credentials': not allowed with 'public_only'; only the operator says who gets keys")
        if self.public_only and self.api_key:
            raise ValueError("key 'api_key': not allowed with 'public_only', as such entries are not trusted with keys")
        if self.public_only and self.allow_pickle:
            raise ValueError("key 'allow_pickle': not allowed with 'public_only'; only the operator may set it")
        if self.public_only and self.type == "huggingface" and not HUB_ID.fullmatch(self.model_name):
            raise ValueError("key 'model_name': must be a Hub repository (owner/name) with 'public_only'")
        return self

    @property
    def parameters(self) -> int:
        """The number of parameters according to `size` (such as 1.7B or 360M); 0 without it."""
        found = re.match(r"([0-9]+(?:\.[0-9]+)?)\s*([MB])", self.size)
        return int(float(found[1]) * (1e9 if found[2] == "B" else 1e6)) if found else 0

    @property
    def needs_own_key(self) -> bool:
        """Whether each visitor uses this model with a key of their own."""
        return self.credentials == "visitor"

    @property
    def weights(self) -> WeightsKey:
        """The key of the weights that this model uses. Models with equal keys share them."""
        if self.type == "fake":
            # A fake has no files: entries share its weights if they have the same model_name.
            return WeightsKey("fake", self.model_name or self.model_id, self.device)
        source = self.model_name if self.base_url is None else f"{self.model_name}@{self.base_url}"
        source += f" ({self.api_key})" if self.api_key else ""
        source += " (the visitor's own key)" if self.credentials else ""
        source += " (public only)" if self.public_only else ""
        source += f" with {json.dumps(self.extra_body, sort_keys=True)}" if self.extra_body else ""
        source += f" (sha256 {self.sha256[:12]})" if self.sha256 else ""
        return WeightsKey(
            type=self.type,
            source=source,
            device=self.device,
            revision=self.revision,
            gguf_file=self.gguf_file,
            dtype=self.dtype,
            quantization=self.quantization,
            adapters=self.adapters,
        )


class WeightsKey(NamedTuple):
    """The identity of weights. Models with equal keys are aliases of one copy.

    >>> str(WeightsKey("huggingface", "owner/model", "cuda:1", gguf_file="q4.gguf", dtype="float16"))
    'owner/model+q4.gguf+float16+on cuda:1'
    """

    type: str
    source: str
    device: str = "auto"
    revision: str | None = None
    gguf_file: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    adapters: tuple[str, ...] = ()

    def __str__(self) -> str:
        dtype, device = ("" if value == "auto" else value for value in (self.dtype, self.device))
        extras = [self.gguf_file, dtype, self.revision, self.quantization, *self.adapters, device and f"on {device}"]
        return "+".join([self.source, *[part for part in extras if part]])


def parse_spec(model_id: str, config: Mapping[str, Any], where: str = "model_configs") -> ModelSpec:
    """Parse a registry entry. Raises ConfigError, naming `where`, the model and the key."""
    if isinstance(config, Mapping) and "model_id" in config:
        raise ConfigError(f"{where}: model '{model_id}': key 'model_id': unknown key (the entry's name is its id)")
    data = {**config, "model_id": str(model_id)} if isinstance(config, Mapping) else config
    return validate(ModelSpec, data, where, f"model '{model_id}'")
