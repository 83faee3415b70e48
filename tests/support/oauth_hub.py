"""A loopback stand-in for the Hub: OpenID Connect with authorise, token, userinfo, refresh and expiry, and datasets.

Whoever is to sign in next is set with `visitor`. Its tokens are noticeable, so that a search finds them anywhere, and
allow what the visitor was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.hub import Account, DatasetHandler, DatasetHub

MARK = "hf_oauth_secret"
"""Begins every access token, and occurs in every refresh token."""
CLIENT = "the-space"
CLIENT_SECRET = "0123456789abcdef-of-the-space"
CONTRIBUTE = "contribute-repos"
SCOPES = f"openid profile inference-api {CONTRIBUTE}"
"""What the Space's app may ask for."""


class OAuthHub(DatasetHub):
    """Signs visitors in for one client, and keeps their datasets.

    With `asks`, they see a page that says what is asked, and press a link there.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.key = RSAKey.generate_key(2048, {"kid": "hub", "use": "sig"})

    def forget(self) -> None:
        super().forget()
        self.visitor = "ada"
        self.lifetime = 8 * 3600  # seconds
        self.refuses = False  # whether the visitor presses Cancel without being asked
        self.asks = False
        self.down = False  # whether no codes are exchanged for tokens
        self.grants = ""  # the scopes that are granted, whatever is asked for
        self.asked_scopes: list[str] = []
        self.tokens: dict[str, str] = {}  # name by access token
        self.refreshed = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._refreshes: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a Space with `hf_oauth: true` finds in its environment."""
        return {
            "SYSTEM": "spaces",
            "SPACE_ID": "someone/parley",
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
            "OAUTH_SCOPES": SCOPES,
            "OPENID_PROVIDER_URL": self.url,
        }

    def authorise(self, query: dict[str, str]) -> str:
        """Return where the browser goes with its code."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        self.asked_scopes.append(query["scope"])
        if self.refuses:
            return cancelled(query)
        return self.allowed(query)

    def allowed(self, query: dict[str, str]) -> str:
        """Return where the browser goes once the visitor has agreed."""
        code = secrets.token_urlsafe(12)
        self._codes[code] = {**query, "visitor": self.visitor}
        return f"{query['redirect_uri']}&{urlencode({'code': code, 'state': query['state']})}"

    def grant(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the answer to a request for tokens; None refuses it."""
        if form.get("grant_type") == "refresh_token":
            name = self._refreshes.pop(form.get("refresh_token", ""), None)
            self.refreshed += name is not None
            return None if name is None else self._tokens_of(name, None, "openid profile")
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return None
        challenge = asked.get("code_challenge")
        if challenge is not None and challenge != _challenge(form.get("code_verifier", "")):
            return None
        return self._tokens_of(asked["visitor"], asked.get("nonce"), self.grants or asked["scope"])

    def about(self, name: str) -> dict[str, str]:
        """Return what the Hub says about a visitor."""
        return {
            "sub": f"id-of-{name}",
            "name": name.title(),
            "preferred_username": name,
            "profile": f"https://huggingface.co/{name}",
            "picture": f"https://huggingface.co/avatars/{name}.svg",
        }

    def _tokens_of(self, name: str, nonce: str | None, scopes: str) -> dict[str, Any]:
        token, refresh = (f"{MARK}_{name}_{kind}{secrets.token_hex(8)}" for kind in ("", "refresh_"))
        self.tokens[token], self._refreshes[refresh] = name, name
        self.accounts[token] = Account(name, may_write=CONTRIBUTE in scopes.split())
        now = int(time.time())
        claims = {**self.about(name), "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 3600}
        claims |= {"nonce": nonce} if nonce else {}
        return {
            "access_token": token,
            "refresh_token": refresh,
            "token_type": "bearer",
            "scope": scopes,
            "expires_in": self.lifetime,
            "id_token": jwt.encode({"alg": "RS256", "kid": "hub"}, claims, self.key),
        }


def cancelled(query: dict[str, str]) -> str:
    """Return where the browser goes once the visitor has pressed Cancel."""
    return f"{query['redirect_uri']}&{urlencode({'error': 'access_denied', 'state': query['state']})}"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class _Handler(DatasetHandler):
    server: OAuthHub

    def do_GET(self) -> None:  # noqa: N802 (its name in http.server)
        hub, parts = self.server, urlsplit(self.path)
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": hub.url,
                        "authorization_endpoint": f"{hub.url}/oauth/authorize",
                        "token_endpoint": f"{hub.url}/oauth/token",
                        "userinfo_endpoint": f"{hub.url}/oauth/userinfo",
                        "jwks_uri": f"{hub.url}/oauth/jwks",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            case "/oauth/jwks":
                self._json({"keys": [hub.key.as_dict(private=False)]})
            case "/oauth/authorize":
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                if hub.asks:
                    hub.asked_scopes.append(query["scope"])
                    self._send(200, _question(query, hub).encode(), {"Content-Type": "text/html"})
                else:
                    self._send(302, b"", {"Location": hub.authorise(query)})
            case "/oauth/userinfo":
                name = hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
                about = {"error": "invalid_token"} if name is None else hub.about(name)
                self._json(about, 401 if name is None else 200)
            case _:
                super().do_GET()

    def do_POST(self) -> None:  # noqa: N802 (its name in http.server)
        if self.path != "/oauth/token":
            super().do_POST()
            return
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        granted = None if self.server.down else self.server.grant({k: v[0] for k, v in parse_qs(body).items()})
        self._json({"error": "invalid_grant"} if granted is None else granted, 400 if granted is None else 200)

    def _json(self, answer: Any, status: int = 200) -> None:
        self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def _question(query: dict[str, str], hub: OAuthHub) -> str:
    """Return the page on which a visitor agrees or not."""
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in query["scope"].split())
    answers = {"Authorize": hub.allowed(query), "Cancel": cancelled(query)}
    links = " ".join(f'<a href="{escape(address)}">{name}</a>' for name, address in answers.items())
    return f"<!doctype html><title>Authorize</title><h1>{escape(hub.visitor)}</h1><ul>{scopes}</ul>{links}"
