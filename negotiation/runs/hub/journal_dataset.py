"""A journal in a dataset repository of the Hugging Face Hub, read at the start and pushed every five minutes.

Uses huggingface_hub's `CommitScheduler`. A missing repository is created as a private one. A public one stores
published runs only; nothing more is pushed to a private one that was made public.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, CommitScheduler, HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from negotiation.errors import StoreError
from negotiation.runs.journal import SUFFIX, Contents, Journal, make_private, new_name, read_journal

logger = logging.getLogger(__name__)

FOLDER = "runs"
"""The journal's folder in the repository."""
MINUTES = 5.0
PUSH_SECONDS = 45.0


class DatasetStorage:
    """A dataset repository `owner/name`, pushed from a folder on this machine."""

    def __init__(self, repository: str, token: str, folder: Path, minutes: float = MINUTES) -> None:
        self.private = False
        self.journal = Journal(folder / "new")
        self._downloaded = folder / "kept"
        self._repository = repository
        self._minutes = minutes
        self._api = HfApi(token=token)
        self._pushing: _Pushing | None = None

    def open(self) -> Contents:
        self.private = self._find()
        shutil.rmtree(self._downloaded, ignore_errors=True)
        make_private(self._downloaded)
        self._api.snapshot_download(
            self._repository, repo_type="dataset", local_dir=self._downloaded, allow_patterns=f"{FOLDER}/*{SUFFIX}"
        )
        contents = read_journal(self._downloaded / FOLDER)
        for path in contents.files:  # pushed by an earlier process on this machine
            (self.journal.folder / path.name).unlink(missing_ok=True)
        if contents.untidy:
            self._tidy(contents)
            contents = read_journal(self._downloaded / FOLDER)
        if self._pushing is None:
            self._pushing = _Pushing(
                private_only=self.private,
                repo_id=self._repository,
                repo_type="dataset",
                folder_path=self.journal.folder,
                path_in_repo=FOLDER,
                every=self._minutes,
                allow_patterns=f"*{SUFFIX}",
                hf_api=self._api,
                private=True,
            )
        return contents

    def close(self) -> None:
        if self._pushing is not None:
            try:
                self._pushing.trigger().result(PUSH_SECONDS)
            finally:
                self._pushing.stop()

    def _find(self) -> bool:
        """Create the repository if it is missing; return whether it is private."""
        try:
            private = bool(self._api.repo_info(self._repository, repo_type="dataset").private)
        except RepositoryNotFoundError:
            self._api.create_repo(self._repository, repo_type="dataset", private=True, exist_ok=True)
            return self._find_made()
        if not private:
            logger.warning("the dataset %s is public, so only published runs are stored in it", self._repository)
        return private

    def _find_made(self) -> bool:
        return bool(self._api.repo_info(self._repository, repo_type="dataset").private)

    def _tidy(self, contents: Contents) -> None:
        """Replace all files by one in a single commit, and squash the history, which still has deleted runs."""
        tidied = Journal(self._downloaded / FOLDER)
        tidied.own = self._downloaded / FOLDER / new_name()
        before = [path.name for path in contents.files]
        tidied.rewrite(contents)
        operations: list[Any] = [CommitOperationDelete(f"{FOLDER}/{name}") for name in before]
        if tidied.own.exists():
            operations.insert(0, CommitOperationAdd(f"{FOLDER}/{tidied.own.name}", tidied.own))
        self._api.create_commit(
            self._repository, operations, commit_message="Leave out what was deleted", repo_type="dataset"
        )
        with suppress(Exception):  # only the history remains; the files are right already
            self._api.super_squash_history(self._repository, repo_type="dataset")


class _Pushing(CommitScheduler):  # type: ignore[misc]
    """Pushes until a private repository is made public."""

    def __init__(self, *, private_only: bool, **options: Any) -> None:
        self._private_only = private_only
        super().__init__(**options)

    def push_to_hub(self) -> Any:
        if self._private_only and not self.api.repo_info(self.repo_id, repo_type="dataset").private:
            raise StoreError(
                f"the dataset {self.repo_id} is now public but contains private runs: nothing more is pushed; "
                "make it private again, or restart to store published runs only"
            )
        return super().push_to_hub()
