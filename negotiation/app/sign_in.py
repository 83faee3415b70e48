"""How visitors bring an account of their own, and what they may use it for: rules about the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal

from negotiation.runs.hub.contributions import SCOPE

SignIn = Literal["hub", "key", "none"]
"""They sign in with Hugging Face, type a key into the page, or do neither."""
OAUTH = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What a Space finds in its environment with `hf_oauth: true` in the head of its README.md."""


def sign_in(environment: Mapping[str, str], providers: str | None) -> SignIn:
    """Return how visitors bring their account.

    Off Spaces, Gradio's sign-in button would hand out the server's own token, so there is none. On a Space nobody is
    asked for a key, because a visitor cannot see what its code does with one.

    Args:
        environment: The environment variables.
        providers: The router that serves models on visitors' accounts, or None.

    >>> sign_in({}, "https://router.example/v1"), sign_in({}, None)
    ('key', 'none')
    >>> sign_in({"SPACE_ID": "me/parley", "SYSTEM": "spaces"}, "https://router.example/v1")
    'none'
    """
    if providers is None:
        return "none"
    if not environment.get("SPACE_ID") and environment.get("SYSTEM") != "spaces":
        return "key"
    complete = all(environment.get(name) for name in ("SPACE_ID", *OAUTH))
    return "hub" if complete and environment.get("SYSTEM") == "spaces" else "none"


def contributes_to(environment: Mapping[str, str], how: SignIn) -> str | None:
    """Return the Hub to which visitors can contribute runs from their own account; None if they cannot.

    Spaces gives all scopes that the app may ever ask for, which are those in the head of its README.md.

    >>> given = {"OPENID_PROVIDER_URL": "https://hub.example", "OAUTH_SCOPES": "openid contribute-repos"}
    >>> contributes_to(given, "hub"), contributes_to(given, "key")
    ('https://hub.example', None)
    >>> contributes_to(given | {"OAUTH_SCOPES": "openid"}, "hub")
    """
    may_ask = how == "hub" and SCOPE in environment.get("OAUTH_SCOPES", "").split()
    return environment.get("OPENID_PROVIDER_URL") if may_ask else None


def serves_its_own_user(host: str, environment: Mapping[str, str]) -> bool:
    """Return whether only the person at this machine can open the page, as far as its settings show.

    A proxy on the same machine may still let others in; who runs one says so (docs/providers.md).

    >>> serves_its_own_user("127.0.0.1", {}), serves_its_own_user("0.0.0.0", {})
    (True, False)
    >>> serves_its_own_user("127.0.0.1", {"PARLEY_LIMITS": "public"})
    False
    """
    hosted = ("SPACE_ID", "SYSTEM", "PARLEY_OPERATOR_PASSWORD", "FORWARDED_ALLOW_IPS", "GRADIO_ROOT_PATH")
    if any(environment.get(name) for name in hosted) or environment.get("PARLEY_LIMITS") == "public":
        return False
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is this machine's own.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0", "localhost.example", "")]
    [True, True, True, True, False, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
