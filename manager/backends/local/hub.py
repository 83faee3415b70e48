"""Fetch the files of a model from a folder or the Hugging Face Hub, with progress in bytes and readable errors."""

from __future__ import annotations

import errno
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from manager.backends.base import Progress
from manager.errors import AccessDenied, ParleyError, Refused, Unreachable, WeightsNotFound

logger = logging.getLogger(__name__)

MOST_SAID = 300
"""The most characters of a client's error that are logged."""
PATTERNS = ["*.safetensors", "*.json", "*.jinja", "*.model", "tokenizer*", "vocab*", "merges*"]
"""Fetched files: weights as safetensors (pickles can run code), settings and tokenizer files."""

PICKLES = ["pytorch_model*.bin"]
"""Also fetched for entries with `allow_pickle`."""

DUPLICATES = ["consolidated*", "*/*.safetensors", "*/*.json"]
"""Left out: copies of the same weights for other programs."""

LOOK_UP_SECONDS = 10.0
MOST_NAMED = 8
"""The most GGUF files that an error names."""


def fetch(
    model_name: str, revision: str | None, gguf_file: str | None, progress: Progress, *, pickles: bool = False
) -> Path:
    """Return the folder with a model's files, downloading them unless `model_name` is a folder.

    An error raised by `progress` ends the download. The Hub's client gives up on silent connections by itself.

    Raises:
        WeightsNotFound: No such folder, repository, revision or file.
        AccessDenied: The repository is gated or private.
        Unreachable: The Hub does not respond.
        Refused: The files cannot be stored.
    """
    folder = Path(model_name).expanduser()
    if folder.is_dir():
        return folder
    if model_name.lower().endswith(".gguf"):
        raise WeightsNotFound(
            f"key 'model_name': {model_name} is a GGUF file; write its folder or repository as model_name, and the "
            "file's name as gguf_file"
        )
    if model_name.startswith((".", "/", "~")):
        raise WeightsNotFound(f"{model_name}: no such folder; write its path or a Hub repository (owner/name)")
    with _plain_errors(model_name, revision):
        return Path(
            snapshot_download(
                model_name,
                revision=revision,
                **_wanted(gguf_file, pickles),
                tqdm_class=_reporting(progress),
                max_workers=4,
            )
        )


@dataclass(frozen=True)
class Repository:
    """What the Hub says about a model's repository."""

    parameters: int | None
    license: str
    gated: bool


def look_up(model_name: str, gguf_file: str | None = None) -> Repository:
    """Ask the Hub about a repository, without downloading it.

    Args:
        model_name: The repository, as owner/name.
        gguf_file: The file in it that holds the weights; without one they are safetensors.

    Raises:
        WeightsNotFound: No such repository, or it holds no such weights; names the GGUF files that it holds.
        AccessDenied: The repository is gated or private.
        Unreachable: The Hub does not respond.
    """
    with _plain_errors(model_name, None):
        about = HfApi().model_info(model_name, timeout=LOOK_UP_SECONDS)
        if about.gated:
            HfApi().auth_check(model_name)
    files = [file.rfilename for file in about.siblings or ()]
    others = ", ".join([name for name in files if name.lower().endswith(".gguf")][:MOST_NAMED])
    if gguf_file is not None and gguf_file not in files:
        instead = f"its GGUF files are: {others}" if others else "it holds no GGUF files"
        raise WeightsNotFound(f"'{model_name}' has no file '{gguf_file}'; {instead}")
    if gguf_file is None and not any(fnmatch(name, "*.safetensors") for name in files):
        instead = f"name one of its GGUF files: {others}" if others else "pick another repository"
        raise WeightsNotFound(f"'{model_name}' holds no safetensors; {instead}")
    license_name = (about.card_data or {}).get("license") or ""
    return Repository(about.safetensors.total if about.safetensors else None, str(license_name), bool(about.gated))


@contextmanager
def _plain_errors(model_name: str, revision: str | None) -> Iterator[None]:
    """Turn errors of the Hub's client into ours."""
    revision_text = f" at revision '{revision}'" if revision else ""
    try:
        yield
    except GatedRepoError:
        raise AccessDenied(
            f"'{model_name}' is gated: accept its terms on the Hub, then set HF_TOKEN to a token of that account"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise WeightsNotFound(
            f"the Hub has no repository '{model_name}', or HF_TOKEN does not grant access to it; check the name"
        ) from None
    except RevisionNotFoundError:
        raise WeightsNotFound(f"'{model_name}' has no revision '{revision}'; check the key 'revision'") from None
    except ParleyError:
        raise
    except Exception as error:  # noqa: BLE001 (the client passes on all kinds of errors of its transport)
        if (trouble := _disk_trouble(error)) is not None:
            raise Refused(f"'{model_name}'{revision_text} cannot be stored: {trouble}") from None
        logger.warning("'%s' cannot be downloaded: %s: %s", model_name, type(error).__name__, str(error)[:MOST_SAID])
        raise Unreachable(
            f"'{model_name}'{revision_text} is not on this machine and cannot be downloaded: {_why()}; check the "
            "network, or put the files into a folder and name that as model_name"
        ) from None


def is_here(model_name: str, revision: str | None, gguf_file: str | None, *, pickles: bool = False) -> bool:
    """Return whether `fetch` has nothing to download. Does not use the network."""
    if Path(model_name).expanduser().is_dir() or model_name.startswith((".", "/", "~")):
        return True
    try:
        snapshot_download(model_name, revision=revision, local_files_only=True, **_wanted(gguf_file, pickles))
    except Exception:  # noqa: BLE001 (`fetch` reports the reason)
        return False
    return True


def _why() -> str:
    """Return why a download failed for another reason than the repository or the disk."""
    if constants.HF_HUB_OFFLINE:
        return "downloads are switched off here (HF_HUB_OFFLINE)"
    return "the Hugging Face Hub did not answer, or refused"


def _wanted(gguf_file: str | None, pickles: bool) -> dict[str, list[str]]:
    """Return the patterns of the files to fetch and to leave out."""
    ignored = [*DUPLICATES, *(["*.safetensors"] if gguf_file else [])]
    allowed = [*PATTERNS, *(PICKLES if pickles else []), gguf_file or ""]
    return {"allow_patterns": allowed, "ignore_patterns": ignored}


def _disk_trouble(error: BaseException) -> str | None:
    """Describe the disk problem behind a failed download, if there is one. Such errors come wrapped in others."""
    folder = constants.HF_HUB_CACHE
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else None
        # The client's transfer library, written in Rust, gives the number in its message.
        if number in (errno.ENOSPC, errno.EDQUOT) or f"os error {errno.ENOSPC}" in str(cause):
            return f"the disk with {folder} is full; free some space there, or set HF_HOME to a folder with more"
        if number in (errno.EACCES, errno.EPERM, errno.EROFS) and getattr(cause, "filename", None):
            return f"{folder} is not writable ({cause}); set HF_HOME to a folder that is"
        cause = cause.__cause__ or cause.__context__
    return None


def forget(path: Path) -> bool:
    """Remove a damaged file from the Hub's cache, so that it is fetched again.

    Files outside the cache belong to the user: they are left alone, and False is returned.
    """
    if Path(constants.HF_HUB_CACHE).resolve() not in path.resolve().parents:
        return False
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return True


def _reporting(progress: Progress) -> type[tqdm[Any]]:
    """Return a tqdm class that draws nothing and reports the bytes written."""

    class Reporting(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs.update(file=io.StringIO(), disable=False)
            super().__init__(*args, **kwargs)
            self.bytes = kwargs.get("unit") == "B" and str(kwargs.get("desc", "")).startswith("Reconstruct")

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self.bytes:
                progress("fetching", int(self.n), int(self.total or 0))
            return None

        def refresh(self, *args: Any, **kwargs: Any) -> bool:
            return True

    return Reporting
