"""The backend for remote models behind OpenAI's chat completions: vLLM, TGI, llama.cpp, Ollama, hosted services.

They take no slot and no memory here. This module sends and retries requests; `remote/` speaks the protocol. API keys
are read from the environment, or revealed for a visitor's handle, whenever they are sent, and stored nowhere. Servers'
cookies are ignored, so that nothing of one visitor's answer goes into another's request.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from manager.backends.base import BaseLLMModel, Footprint, Health, Progress
from manager.backends.remote import loop, pacing, sse
from manager.backends.remote.address import Target, api_key, target
from manager.backends.remote.answer import Answer
from manager.backends.remote.dialect import Dialect
from manager.backends.remote.fallback import Fallback
from manager.backends.remote.faults import (
    NotTaken,
    RequestFacts,
    Transient,
    check,
    fault,
    still_loading,
    too_slow,
    unreachable,
)
from manager.backends.remote.standing import VisitorStanding, shared_health
from manager.config.certificates import trusted
from manager.config.model_spec import ModelSpec
from manager.errors import (
    AccessDenied,
    CredentialMissing,
    Failure,
    GenerationFailed,
    ModelUnavailable,
    ParleyError,
    RateLimited,
    ServerFailed,
    Unreachable,
)
from manager.generation.request import Completion, GenerationRequest
from manager.generation.stream import TokenStream, cancelled

logger = logging.getLogger(__name__)

LOADING_PAUSE = 1.0
"""Seconds between requests to a server that is loading the model."""
TAIL_SECONDS = 5.0
"""How long a server may take to report the usage after the end of the text."""
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "parley"}
_NO_PROXY = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
"""Servers on this machine are not contacted through a proxy."""


class OpenAIModel(BaseLLMModel):
    """One model at one endpoint."""

    def __init__(self, spec: ModelSpec, cache_dir: Path, dialect: Dialect | None = None) -> None:
        super().__init__(spec, cache_dir)
        self._endpoint = pacing.Endpoint.of(self._base_url, spec.api_key)
        self._dialect = dialect or Dialect()
        self._chance = random.Random()
        self._health: Health | None = None
        self._lock = threading.Lock()
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def device_of(cls, spec: ModelSpec) -> str:
        return "remote"

    @property
    def health(self) -> Health | None:
        return self._health

    def prepare(self, progress: Progress) -> Footprint:
        loop.submit(self._look()).result()
        self._health = None  # what was reported before has been dealt with
        return Footprint("remote", 0, remote=True)

    def load(self, progress: Progress) -> int:
        return 0

    def unload(self) -> int:
        return 0

    def generate(self, request: GenerationRequest, stream: TokenStream) -> None:
        work = loop.submit(self._write(self._connections(), request, stream))
        work.add_done_callback(lambda _: stream.fail(cancelled()))  # also if it was cancelled before it began

        def give_up() -> None:
            work.cancel()

        stream.cancel_token.on_cancel(give_up)

    def most_tokens(self, request: GenerationRequest) -> int:
        extra = [self.spec.extra_body.get(name) for name in ("max_tokens", "max_completion_tokens")]
        return max([self._dialect.room(request), *(most for most in extra if isinstance(most, int))])

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            loop.submit(client.aclose())

    @property
    def dialect(self) -> Dialect:
        """What the server was found to accept and to need."""
        return self._dialect

    @property
    def _base_url(self) -> str:
        assert self.spec.base_url is not None
        return self.spec.base_url

    def _connections(self) -> httpx.AsyncClient:
        with self._lock:
            if self._client is None:
                self._client = httpx.AsyncClient(
                    verify=trusted(),
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=15),
                    headers=_HEADERS,
                    mounts=_NO_PROXY,
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                    follow_redirects=False,
                )
            return self._client

    # -- before the first request ------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Check that the server responds.

        Its list of models is ignored, as many serve more, and so is whether it may be read: the chat request decides.
        """
        aim = await self._aim("/models")
        timeouts = self.spec.timeouts
        try:
            async with asyncio.timeout(timeouts.connect + timeouts.between_tokens):
                async with self._asked(self._connections(), "GET", aim) as response:
                    status = response.status_code
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self._base_url, error) from None
        if isinstance(found := fault(status, {}, b"", self._asking()), Unreachable):
            raise found

    # -- writing -----------------------------------------------------------------------------------------------

    async def _write(self, client: httpx.AsyncClient, request: GenerationRequest, stream: TokenStream) -> None:
        began = asyncio.get_running_loop().time()
        with stream.producing():
            try:
                completion = await self._tried(partial(self._attempt, client, request, stream, began), request, stream)
                self._health = Health()
                if (standing := self._standing(request)) is not None:
                    standing.answered()
                stream.finish(completion)
            except asyncio.CancelledError:
                raise cancelled() from None
            except Transient as fault:  # all retries failed
                self._failed(request, fault.failure, fault.after or 0.0)
                raise fault.failure from None
            except ParleyError as error:
                self._failed(request, error, 0.0 if isinstance(error, ModelUnavailable) else None)
                raise
            except Exception as error:  # noqa: BLE001 (its message may quote the prompt, so only its type is repeated)
                raise GenerationFailed(f"the request to {self._base_url} failed ({type(error).__name__})") from None

    def _failed(self, request: GenerationRequest, error: ParleyError, cool: float | None) -> None:
        """Remember a failure for the one whom it concerns: the visitor, or all users of the server."""
        if (standing := self._standing(request)) is None:
            self._health = Health(Failure.of(error, GenerationFailed), cool)
            return
        self._health = shared_health(error, self.spec.model_name, cool, self._health)
        if isinstance(error, RateLimited):
            standing.refused(error, None, asyncio.get_running_loop().time(), cool or 0.0)

    def _standing(self, request: GenerationRequest) -> VisitorStanding | None:
        """Return the standing of the visitor who pays for a request; None if nobody in particular does."""
        return None if request.bearer is None else VisitorStanding.of(request.bearer.handle, self._base_url)

    def _key(self, request: GenerationRequest) -> str | None:
        """Return the key to send: the visitor's own, or the operator's, if the server needs one."""
        if not self.spec.needs_own_key:
            return api_key(self.spec.api_key)
        if request.bearer is None:
            raise CredentialMissing(f"'{self.spec.model_id}' runs on your own account: sign in, or enter a key")
        return request.bearer.key(self._base_url)

    async def _tried(self, attempt: Any, request: GenerationRequest, stream: TokenStream) -> Completion:
        """Return the result of an attempt, retrying as often as allowed; never after text was passed on."""
        spec, now, tries = self.spec, asyncio.get_running_loop().time, 0
        fallback, patient_until = Fallback(self._dialect, request), now() + spec.timeouts.first_token
        pace = self._endpoint if (standing := self._standing(request)) is None else standing.pace
        while True:
            try:
                async with pace.place(spec.concurrency, spec.requests_per_minute):
                    completion: Completion
                    completion, learnt = await attempt(fallback.dialect)
            except NotTaken as refusal:
                if not fallback.refused(refusal.said):
                    raise refusal.failure from None
            except Transient as fault:
                if fault.loading:
                    if now() + LOADING_PAUSE > patient_until:
                        raise Transient(still_loading(spec), fault.after) from None
                    stream.stage = "loading"
                    await asyncio.sleep(LOADING_PAUSE)
                    continue
                wait = pacing.pause(tries, fault.after, self._chance)
                if tries >= spec.retries or wait > pacing.PATIENCE:
                    raise
                tries += 1
                kind = type(fault.failure).__name__  # the server's message may quote the prompt
                logger.info("'%s': %s; retrying in %.1f s", spec.model_id, kind, wait)
                if fault.after is not None:
                    pace.hold(now() + wait)
                await asyncio.sleep(wait)
            else:
                self._remember(learnt)
                return completion

    async def _attempt(
        self, client: httpx.AsyncClient, request: GenerationRequest, stream: TokenStream, began: float, dialect: Dialect
    ) -> tuple[Completion, Dialect]:
        """Return an answer, and the dialect that it teaches."""
        spec, now = self.spec, asyncio.get_running_loop().time
        body = dialect.body(spec.model_name, request, spec.extra_body)
        key, standing = self._key(request), self._standing(request)
        if standing is not None:
            standing.check(key, now())
        asked = self._asking(key, formatted="response_format" in body)
        answer = Answer(request, stream, asked, dialect.room(request))
        stream.attempt(lambda: answer.usage)
        aim = await self._aim("/chat/completions", asked.key)
        first, software = 0.0, None
        try:
            async with (
                asyncio.timeout(spec.timeouts.first_token) as silence,
                self._asked(client, "POST", aim, body) as response,
            ):
                await check(response, asked)
                software = response.headers.get("server")
                async for event in sse.events(response.aiter_raw()):
                    if sse.is_done(event):
                        answer.finish = answer.finish or "stop"
                        break
                    alive = answer.take(event)
                    if answer.finish:
                        silence.reschedule(now() + TAIL_SECONDS)
                    elif answer.begun and alive:  # heartbeats are no text
                        silence.reschedule(now() + spec.timeouts.between_tokens)
                        first = first or now() - began
                    if answer.hopeless():
                        break
            answer.end()
        except TimeoutError:
            if not answer.finish:
                raise too_slow(spec, answer.begun) from None
            answer.end()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Transient(unreachable(self._base_url, error)) from None
        except httpx.HTTPError as error:
            if not answer.finish:
                broken = ServerFailed(f"the connection to {self._base_url} was lost ({type(error).__name__})")
                raise _again(broken, answer) from None
            answer.end()
        except AccessDenied as error:
            if standing is not None:
                standing.refused(error, key, now())
            raise
        except Transient as fault:
            raise _again(fault.failure, answer, fault) from None
        except NotTaken as refusal:
            raise (refusal.failure if answer.passed else refusal) from None
        if answer.finish is None:
            raise _again(ServerFailed(f"the server of '{spec.model_name}' broke off its answer"), answer)
        if answer.thought and (answer.only_thinking or not request.thinking):
            dialect = dialect.after_thinking(all_of_it=answer.only_thinking and answer.finish == "length")
        completion = answer.completion(dialect.held(request), first, now() - began)
        return replace(completion, server=answer.server(software, dialect.omitted)), dialect

    def _asking(self, key: str | None = None, *, formatted: bool = False) -> RequestFacts:
        return RequestFacts(self.spec.model_name, self._base_url, key, formatted, self.spec.needs_own_key)

    def _asked(
        self, client: httpx.AsyncClient, method: str, aim: Target, body: Any = None
    ) -> AbstractAsyncContextManager[httpx.Response]:
        timeout = httpx.Timeout(None, connect=self.spec.timeouts.connect)  # `_attempt` handles the other timeouts
        return client.stream(
            method, aim.url, json=body, headers=aim.headers, extensions=aim.extensions, timeout=timeout
        )

    async def _aim(self, path: str, key: str | None = None) -> Target:
        """Return the target of a path, with the headers for authentication."""
        spec = self.spec
        aim = await target(self._base_url, path, spec.public_only)
        key = key or api_key(spec.api_key)
        headers = {**aim.headers, **({"Authorization": f"Bearer {key}"} if key else {})}
        return Target(aim.url, headers, aim.extensions)

    def _remember(self, dialect: Dialect) -> None:
        if dialect == self._dialect:
            return
        if replace(dialect, thinks=False, thoughts=0) != replace(self._dialect, thinks=False, thoughts=0):
            logger.warning("'%s' at %s accepts %s", self.spec.model_name, self._base_url, dialect.description)
        self._dialect = dialect


def _again(failure: ParleyError, answer: Answer, fault: Transient | None = None) -> Exception:
    """Make a failure transient, to be retried, unless text was already passed on."""
    return failure if answer.passed else fault or Transient(failure)
