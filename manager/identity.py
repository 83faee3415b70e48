"""The identity of a model: exactly which weights wrote a text, as far as this program can know. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

LONGEST = 1000
"""Characters of a text, since servers may say anything about themselves."""
Words = Annotated[str, Field(max_length=LONGEST)]
Names = Annotated[tuple[Words, ...], Field(max_length=100)]


@dataclass(frozen=True, kw_only=True)
class ServerReport:
    """What a remote server said about itself with an answer, and what it was therefore not sent."""

    model: Words | None = None  # the model that it names as the writer
    fingerprint: Words | None = None  # `system_fingerprint`, which changes with the server's setup
    software: Words | None = None  # its header `Server`
    omitted: Names = ()  # settings that it refuses


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The weights behind a lease.

    Of a folder on this machine only the name is given, as its path may be private; the digest identifies it.
    """

    model_name: Words
    revision: Words | None = None  # the commit of its repository on the Hub
    file: Words | None = None  # a GGUF file
    package: Words | None = None  # the installed package that holds the file, with its version
    sha256: Words | None = None  # of the file, or of all weights files of a folder
    dtype: Words | None = None
    quantization: Words | None = None
    adapters: Names = ()  # each with its commit, if it comes from the Hub
    device: Words
    hardware: Words | None = None  # the name of the GPU
    server: ServerReport | None = None  # of a remote server, once it answered
