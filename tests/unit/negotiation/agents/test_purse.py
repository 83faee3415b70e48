"""Purses: a limit is never exceeded, whoever spends from it at the same time, and what broke off is paid for, too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from manager.cancel import CancelToken
from manager.config.model_spec import Price
from manager.errors import Cancelled, CredentialExpired, ServerFailed
from manager.generation.request import Completion, Message, Usage
from manager.generation.stream import TokenStream
from negotiation.agents.purse import Payer, Purse, prompt_tokens
from negotiation.errors import SpendingLimit

PRICE = Price(input=0, output=1_000_000)  # a dollar for each token
PROMPT: tuple[Message, ...] = ({"role": "user", "content": "Hello there."},)


def spend(purse: Purse, most: int, tokens: int, price: Price | None = PRICE) -> None:
    with purse.paying(price, PROMPT, most, CancelToken()) as bill:
        bill.finish(Completion("x", "stop", prompt_tokens=3, tokens=tokens))


def break_off(purse: Purse, after: str) -> None:
    with purse.paying(PRICE, PROMPT, 50, CancelToken()) as bill:
        bill.add(after)
        raise ServerFailed("cut off")


def test_a_request_that_could_cost_more_than_is_left_is_not_sent() -> None:
    purse = Purse(Payer(limit=10.0), spent=1.5)
    spend(purse, 8, 4)
    with pytest.raises(SpendingLimit, match=r"^stopped at your limit of \$10.00; it has cost \$5.50 so far$"):
        spend(purse, 5, 1)
    spend(purse, 4, 4)
    assert purse.spent == pytest.approx(9.5)


def test_models_without_a_price_and_purses_without_a_limit_know_no_bounds() -> None:
    poor, rich = Purse(Payer(limit=0.0)), Purse()
    spend(poor, 10**6, 10**6, None)
    spend(rich, 10**6, 1000)
    assert (poor.spent, rich.spent) == (0.0, 1000.0)


def test_the_prompt_counts_towards_what_a_request_can_cost() -> None:
    price = Price(input=1_000_000, output=0)
    with pytest.raises(SpendingLimit):
        spend(Purse(Payer(limit=prompt_tokens(PROMPT, 3) - 1)), 1, 1, price)
    spend(Purse(Payer(limit=prompt_tokens(PROMPT, 3))), 1, 1, price)


def test_a_reply_that_broke_off_is_paid_for_as_far_as_it_came_and_a_refusal_is_not() -> None:
    purse = Purse(Payer(limit=100.0))
    with pytest.raises(ServerFailed):
        break_off(purse, "12345678")
    assert purse.spent == 2.0
    with pytest.raises(ServerFailed):
        break_off(purse, "")
    assert purse.spent == 2.0
    spend(purse, 98, 1)


def test_what_a_stream_does_not_pass_on_is_paid_for_too() -> None:
    purse, stream = Purse(Payer(limit=100.0)), TokenStream()
    with purse.paying(PRICE, PROMPT, 50, CancelToken()) as bill:
        bill.follow(stream)
        stream.attempt(lambda: Usage(3, 10))
        stream.attempt(lambda: Usage(3, 5))
        assert (bill.cost, bill.estimated) == (15.0, True), "as if it were stopped now"
        bill.finish(Completion("x", "stop", prompt_tokens=3, tokens=7))
    assert (purse.spent, bill.estimated) == (17.0, True)


def test_only_what_nobody_counted_is_estimated() -> None:
    purse = Purse()
    with purse.paying(PRICE, PROMPT, 50, CancelToken()) as refused:
        pass
    with purse.paying(PRICE, PROMPT, 50, CancelToken()) as counted:
        counted.finish(Completion("x", "stop", prompt_tokens=3, tokens=7))
    with purse.paying(PRICE, PROMPT, 50, CancelToken()) as guessed:
        guessed.finish(Completion("x", "stop", prompt_tokens=3, tokens=7, estimated=True))
    assert [bill.estimated for bill in (refused, counted, guessed)] == [False, False, True]


def test_what_others_have_set_aside_is_waited_for() -> None:
    purse, entered, go_on = Purse(Payer(limit=10.0)), threading.Event(), threading.Event()

    def slow() -> None:
        with purse.paying(PRICE, PROMPT, 8, CancelToken()) as bill:
            entered.set()
            assert go_on.wait(30)
            bill.finish(Completion("x", "stop", tokens=2))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow)
        assert entered.wait(30)
        stopped = CancelToken()
        stopped.cancel()
        with pytest.raises(Cancelled), purse.paying(PRICE, PROMPT, 8, stopped):
            pass
        second = pool.submit(spend, purse, 8, 3)
        go_on.set()
        first.result(30)
        second.result(30)
    assert purse.spent == 5.0


def test_many_at_once_never_spend_more_than_the_limit() -> None:
    purse, refused = Purse(Payer(limit=50.0)), []

    def work(number: int) -> None:
        try:
            spend(purse, 7, 1 + number % 7)
        except SpendingLimit:
            refused.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    assert refused
    assert 50.0 - 7 < purse.spent <= 50.0


def test_it_remembers_why_nothing_more_can_be_paid_for() -> None:
    purse = Purse()
    with pytest.raises(ServerFailed), purse.noticing():
        raise ServerFailed("for the moment")
    assert purse.trouble is None
    with pytest.raises(CredentialExpired), purse.noticing():
        raise CredentialExpired("expired")
    assert isinstance(purse.trouble, CredentialExpired)
