"""The ledger: which bytes are reserved, measured, kept for conversations, parked and leaked, and how many there may be.

Book-keeping in whole bytes, driven by the scheduler. Knows no torch and moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from manager.config.registry import WeightsKey


@dataclass(eq=False)
class Account:
    """What one set of weights is charged with.

    `fixed` is on its device: what a load reserved, then what it was measured to take. `cache` comes on top: what it
    may keep there of conversations, which is given up before any weights are. `host` is its copy in host memory,
    `lost` one that could not be given up, and is of no use.
    """

    device: str = ""
    fixed: int = 0
    cache: int = 0
    stuck: int = 0  # of `cache`, what did not go when it was asked to
    host: int = 0
    lost: int = 0

    @property
    def hard(self) -> int:
        """Bytes that only unloading frees."""
        return self.fixed + self.stuck


class Ledger:
    """All accounts, what leaked, and the budgets: bytes per device, and bytes of host memory for parked weights.

    >>> ledger = Ledger({"cuda:0": 100})
    >>> ledger.open("a").device = "cuda:0"
    >>> ledger.reserve("a", 60, 80)
    40
    >>> ledger.free("cuda:0")
    0
    """

    def __init__(self, budgets: Mapping[str, int] | None = None, parking: int | None = None) -> None:
        self.budgets = dict(budgets or {})
        self.parking = parking
        self.accounts: dict[WeightsKey, Account] = {}
        self.leaked: dict[str, int] = {}
        self._charged: dict[WeightsKey, Account] = {}  # those with anything on a device

    def open(self, key: WeightsKey) -> Account:
        """The account of these weights."""
        return self.accounts.setdefault(key, Account())

    def close(self, key: WeightsKey) -> None:
        """These weights are gone for good."""
        self.accounts.pop(key, None)

    def adopt(self, device: str, capacity: int | None, parking: int | None) -> None:
        """Take the machine's own figures as budgets where none were set."""
        if capacity is not None:
            self.budgets.setdefault(device, capacity)
        if self.parking is None:
            self.parking = parking

    def budget(self, device: str) -> float:
        """Bytes that may be taken on a device; infinity without a limit."""
        return self.budgets.get(device, math.inf)

    def used(self, device: str) -> int:
        """Bytes charged on a device: reserved or measured, kept for conversations, and leaked."""
        on_it = [account for account in self._charged.values() if account.device == device]
        return sum(account.fixed + account.cache for account in on_it) + self.leaked.get(device, 0)

    def free(self, device: str) -> float:
        """Bytes that are charged to nobody; negative if a device holds more than it may."""
        return self.budget(device) - self.used(device)

    def overdrawn(self) -> list[str]:
        """The devices that hold more than they may."""
        return [device for device in self.budgets if self.free(device) < 0]

    def parked(self) -> int:
        """Bytes of host memory that hold copies of weights, usable or not."""
        return sum(account.host + account.lost for account in self.accounts.values())

    def parking_free(self) -> int:
        """Bytes of host memory that may still be filled with copies."""
        return (self.parking or 0) - self.parked()

    def reserve(self, key: WeightsKey, need: int, allowance: int) -> int:
        """Charge `need` bytes for a load, and up to `allowance` for conversations; how many of those were free."""
        account = self._charged[key] = self.accounts[key]
        account.fixed, account.stuck, account.cache = need, 0, 0
        account.cache = int(max(0, min(allowance, self.free(account.device))))
        return account.cache

    def vacate(self, key: WeightsKey, leaked: int = 0) -> None:
        """Nothing of these weights is on their device any more, but `leaked` bytes did not come back."""
        account = self.accounts[key]
        self._charged.pop(key, None)
        account.fixed = account.cache = account.stuck = 0
        if leaked:
            self.leaked[account.device] = self.leaked.get(account.device, 0) + leaked

    def recover(self, device: str, amount: int) -> None:
        """Leaked bytes came back after all."""
        left = max(0, self.leaked.get(device, 0) - amount)
        self.leaked[device] = left
        if not left:
            del self.leaked[device]
