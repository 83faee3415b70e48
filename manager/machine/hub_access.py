"""Whether models can be downloaded from the Hugging Face Hub: is it reachable, and is there a token?

Checks in the background, so that callers never wait.
"""

from __future__ import annotations

import threading
import time

from huggingface_hub import constants, get_token
from huggingface_hub.utils import get_session

OFFLINE = "this server is offline (HF_HUB_OFFLINE)"
SILENT = "the Hub does not answer"
LOOK_SECONDS = 120.0
"""How long the result of a look is used."""
ANSWER_SECONDS = 5.0


class HubAccess:
    """What this process knows about its way to the Hub."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: bool | None = None  # None: not known yet
        self._looked = float("-inf")

    @property
    def trouble(self) -> str:
        """Why nothing can be downloaded; empty if it can, or if that is not known yet."""
        if constants.HF_HUB_OFFLINE:
            return OFFLINE
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._looked = time.monotonic()
                threading.Thread(target=self.look, name="hub-access", daemon=True).start()
            return SILENT if self._answers is False else ""

    @property
    def has_token(self) -> bool:
        """Whether there is a token, which gated repositories ask for. It may still not be accepted."""
        return get_token() is not None

    def look(self) -> None:
        """Ask the Hub for its front page. Any answer but a server error counts."""
        try:
            answers = get_session().head(constants.ENDPOINT, timeout=ANSWER_SECONDS).status_code < 500
        except Exception:  # noqa: BLE001 (the client passes on all kinds of errors of its transport)
            answers = False
        with self._lock:
            self._answers = answers
