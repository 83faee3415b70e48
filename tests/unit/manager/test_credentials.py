"""Visitors' keys: kept in memory behind handles, replaced, expired and forgotten, and never shown."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from manager.credentials import LONGEST, Credentials, Handle
from manager.errors import AccessDenied, CredentialExpired, CredentialMissing, CredentialRejected

KEY = "hf_a-visitors-own-token"
SERVER = "https://models.example/v1"


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_kept_key_is_revealed_for_its_handle_only() -> None:
    credentials = Credentials()
    first, second = credentials.keep("one", "key-1", server=SERVER), credentials.keep("two", "key-2", server=SERVER)
    assert (credentials.reveal(first, SERVER), credentials.reveal(second, SERVER)) == ("key-1", "key-2")
    with pytest.raises(CredentialMissing, match="sign in again"):
        credentials.reveal(Handle("made up"), SERVER)


def test_a_handle_says_nothing_about_the_key_or_its_holder() -> None:
    handles = {Credentials().keep("holder", KEY, server=SERVER) for _ in range(20)}
    assert len(handles) == 20
    assert all(repr(handle) == "Handle(...)" for handle in handles)
    assert all("holder" not in handle and KEY not in handle and len(handle) >= 32 for handle in handles)


def test_another_key_of_the_same_holder_replaces_the_first_under_the_same_handle() -> None:
    now = Now()
    credentials = Credentials(now)
    handle = credentials.keep("one", "old", expires_at=1001, server=SERVER)
    now.seconds = 1002
    assert credentials.keep("one", " new\n", expires_at=2000, server=SERVER) == handle
    assert credentials.reveal(handle, SERVER) == "new"


def test_an_expired_key_is_not_revealed_and_says_what_to_do() -> None:
    now = Now()
    credentials = Credentials(now)
    handle = credentials.keep("one", KEY, expires_at=1001, server=SERVER)
    assert credentials.handle("one", SERVER) == handle
    now.seconds = 1001
    with pytest.raises(CredentialExpired, match=r"^Your sign-in has expired; sign in again and continue\.$"):
        credentials.reveal(handle, SERVER)
    assert credentials.handle("one", SERVER) is None
    now.seconds = 900  # a clock that is set back brings nothing back
    with pytest.raises(CredentialExpired):
        credentials.reveal(handle, SERVER)


def test_a_key_is_revealed_for_the_server_it_was_given_for_only() -> None:
    credentials = Credentials()
    handle = credentials.keep("one", "key-1", server="https://models.example/v1")
    for other in ("https://other.example/v1", "http://models.example/v1", "https://models.example:8443/v1"):
        assert credentials.handle("one", other) is None
        with pytest.raises(CredentialMissing, match="sign in, or enter a key"):
            credentials.reveal(handle, other)
    assert credentials.keep("one", "key-2", server="https://other.example") == handle
    assert credentials.reveal(handle, "https://OTHER.example:443/v1") == "key-2"
    assert credentials.reveal(handle, SERVER) == "key-1"


def test_a_key_for_one_server_can_be_dropped_without_the_others() -> None:
    credentials = Credentials()
    handle = credentials.keep("holder", KEY, server=SERVER)
    credentials.keep("holder", "another", server="https://hub.example")
    credentials.drop("holder", server="https://hub.example/api")
    credentials.drop("nobody", server=SERVER)
    assert credentials.handle("holder", "https://hub.example") is None
    assert credentials.reveal(handle, SERVER) == KEY
    with pytest.raises(CredentialMissing):
        credentials.reveal(handle, "https://hub.example")


def test_a_forgotten_key_is_gone_and_the_next_one_gets_another_handle() -> None:
    credentials = Credentials()
    handle = credentials.keep("one", KEY, server=SERVER)
    credentials.forget("one")
    credentials.forget("nobody")
    assert credentials.handle("one", SERVER) is None
    with pytest.raises(CredentialMissing):
        credentials.reveal(handle, SERVER)
    assert credentials.keep("one", "another", server=SERVER) != handle
    with pytest.raises(CredentialMissing):
        credentials.reveal(handle, SERVER)


@pytest.mark.parametrize("wrong", ["", "  ", "two words", "line\nbreak", "clé", "k" * (LONGEST + 1)])
def test_what_cannot_be_a_key_is_refused_without_being_repeated_and_changes_nothing(wrong: str) -> None:
    credentials = Credentials()
    handle = credentials.keep("one", KEY, server=SERVER)
    with pytest.raises(CredentialRejected) as refused:
        credentials.keep("one", wrong, server=SERVER)
    assert not wrong.strip() or wrong not in str(refused.value)
    assert credentials.reveal(handle, SERVER) == KEY


def test_every_error_about_keys_is_one_about_access() -> None:
    assert all(issubclass(kind, AccessDenied) for kind in (CredentialMissing, CredentialExpired, CredentialRejected))


def test_keys_are_never_printed_copied_or_pickled() -> None:
    credentials = Credentials()
    credentials.keep("one", KEY, server=SERVER)
    shown = [repr(credentials), str(credentials), repr(vars(credentials)), f"{credentials}"]
    assert not any(KEY in text for text in shown)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stay in the process") as refused:
            take(credentials)
        assert KEY not in str(refused.value)


def test_many_threads_never_see_another_holders_key() -> None:
    credentials = Credentials()

    def visit(number: int) -> bool:
        own = {f"key-{number}-{turn}" for turn in range(50)}
        for key in sorted(own):
            handle = credentials.keep(f"holder {number}", key, server=SERVER)
            if credentials.reveal(handle, SERVER) not in own:
                return False
        credentials.forget(f"holder {number}")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(visit, range(8)))
    assert repr(credentials) == "Credentials(0 holders)"
