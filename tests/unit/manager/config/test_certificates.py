"""All clients share one set of trusted certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from manager.backends.openai import OpenAIModel
from manager.config.certificates import trusted
from manager.config.model_spec import parse_spec


def test_servers_are_verified_as_httpx_does() -> None:
    own = httpx.create_ssl_context()
    assert trusted().verify_mode == own.verify_mode == ssl.CERT_REQUIRED
    assert trusted().check_hostname
    assert trusted().get_ca_certs() == own.get_ca_certs() != []


def test_they_are_read_once_for_all_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusted.cache_clear()
    read: list[ssl.SSLContext] = []
    create = httpx.create_ssl_context

    def counted() -> ssl.SSLContext:
        read.append(create())
        return read[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)
    spec = parse_spec("m", {"type": "openai", "model_name": "m", "base_url": "https://example.org/v1"})
    models = [OpenAIModel(spec, tmp_path) for _ in range(3)]
    clients = [model._connections() for model in models]
    assert len(read) == 1
    assert len({id(client) for client in clients}) == 3
    for model in models:
        model.close()
