"""Identify the files of a local model: their commit on the Hub, their package, or their digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from manager.config.model_spec import ModelSpec
from manager.machine.model_files import PACKAGE


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_digest(path: Path, cache_dir: Path) -> str:
    """Return the digest of a file, which is computed again only if its size or time has changed."""
    stat = path.stat()
    state = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()
    memory = cache_dir / "digests" / state[:32]
    with suppress(OSError):
        if re.fullmatch(r"[0-9a-f]{64}", remembered := memory.read_text()):
            return remembered
    digest = file_digest(path)
    with suppress(OSError):  # a cache that cannot be written costs time only
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(digest)
    return digest


def digest_of(paths: Iterable[Path], cache_dir: Path) -> str:
    """Return the digest of a file, or that of the list of several files with their names and digests."""
    found = {path.name: remembered_digest(path, cache_dir) for path in paths}
    if len(found) == 1:
        return next(iter(found.values()))
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(found.items()))  # as sha256sum prints them
    return hashlib.sha256(listed.encode()).hexdigest()


def commit_of(path: Path) -> str | None:
    """Return the commit of a file or folder in the Hub's cache; None for others.

    >>> commit_of(Path("models--owner--name/snapshots/0123456789abcdef0123456789abcdef01234567/model.gguf"))
    '0123456789abcdef0123456789abcdef01234567'
    """
    snapshots = (part.name for part in (path, *path.parents) if part.parent.name == "snapshots")
    return next((name for name in snapshots if re.fullmatch(r"[0-9a-f]{40}", name)), None)


def package_of(gguf_file: str | None) -> str | None:
    """Return the installed package that package:NAME/FILE names, with its version."""
    if gguf_file is None or not gguf_file.startswith(PACKAGE):
        return None
    name = gguf_file.removeprefix(PACKAGE).partition("/")[0]
    with suppress(metadata.PackageNotFoundError):
        found = metadata.distribution(name)
        return f"{found.name} {found.version}"
    return None


def public_name(spec: ModelSpec) -> str:
    """Return the repository of an entry, or the name of its folder, whose path may be private."""
    folder = Path(spec.model_name).expanduser()
    return folder.name if folder.is_dir() or spec.model_name.startswith((".", "/", "~")) else spec.model_name


def adapter_names(names: Iterable[str], folders: Iterable[Path], cache_dir: Path) -> tuple[str, ...]:
    """Return adapters with their commits, or with the beginnings of their digests: "owner/adapter@012abc..."."""
    found = []
    for name, folder in zip(names, folders, strict=True):
        commit = commit_of(folder)
        version = commit or digest_of([folder / "adapter_model.safetensors"], cache_dir)[:12]
        found.append(f"{name if commit else folder.name}@{version}")
    return tuple(found)
