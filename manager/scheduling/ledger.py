"""The memory ledger: bytes reserved, measured, cached for conversations, parked and leaked, and their budgets.

Bookkeeping in whole bytes, driven by the scheduler. It moves no data and does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from manager.config.model_spec import WeightsKey


@dataclass(eq=False)
class Account:
    """The bytes charged to one set of weights.

    `fixed` is on its device: first what the load reserved, then what was measured. `cache` is added to that for cached
    conversations, and freed before any weights are evicted. `host` is its copy in host memory; `lost` is a useless copy
    that could not be freed.
    """

    device: str = ""
    fixed: int = 0
    cache: int = 0
    stuck: int = 0  # the part of `cache` that could not be trimmed
    host: int = 0
    lost: int = 0

    @property
    def hard(self) -> int:
        """Bytes on the device that only unloading frees."""
        return self.fixed + self.stuck


class Ledger:
    """All accounts, leaked bytes, and the budgets per device and for parked weights in host memory.

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
        """Return the account of these weights, opening it if needed."""
        return self.accounts.setdefault(key, Account())

    def close(self, key: WeightsKey) -> None:
        """Remove the account of these weights."""
        self.accounts.pop(key, None)

    def adopt(self, device: str, capacity: int | None, parking: int | None) -> None:
        """Use the measured capacities as budgets where none are configured."""
        if capacity is not None:
            self.budgets.setdefault(device, capacity)
        if self.parking is None:
            self.parking = parking

    def budget(self, device: str) -> float:
        """Return the budget of a device in bytes; infinity without a limit."""
        return self.budgets.get(device, math.inf)

    def used(self, device: str) -> int:
        """Return all bytes charged on a device: weights, cached conversations and leaks."""
        on_it = [account for account in self._charged.values() if account.device == device]
        return sum(account.fixed + account.cache for account in on_it) + self.leaked.get(device, 0)

    def free(self, device: str) -> float:
        """Return the bytes left in a device's budget; negative if the device exceeds it."""
        return self.budget(device) - self.used(device)

    def overdrawn(self) -> list[str]:
        """Return the devices that exceed their budgets."""
        return [device for device in self.budgets if self.free(device) < 0]

    def parked(self) -> int:
        """Return the bytes of host memory taken by copies of weights, usable or not."""
        return sum(account.host + account.lost for account in self.accounts.values())

    def parking_free(self) -> int:
        """Return the bytes of host memory still available for copies."""
        return (self.parking or 0) - self.parked()

    def reserve(self, key: WeightsKey, need: int, allowance: int) -> int:
        """Charge `need` bytes for a load and up to `allowance` for cached conversations. Return the latter."""
        account = self._charged[key] = self.accounts[key]
        account.fixed, account.stuck, account.cache = need, 0, 0
        account.cache = int(max(0, min(allowance, self.free(account.device))))
        return account.cache

    def vacate(self, key: WeightsKey, leaked: int = 0) -> None:
        """Clear the charges of weights that left their device, except for `leaked` bytes that were not freed."""
        account = self.accounts[key]
        self._charged.pop(key, None)
        account.fixed = account.cache = account.stuck = 0
        if leaked:
            self.leaked[account.device] = self.leaked.get(account.device, 0) + leaked

    def recover(self, device: str, amount: int) -> None:
        """Deduct leaked bytes that were freed after all."""
        left = max(0, self.leaked.get(device, 0) - amount)
        self.leaked[device] = left
        if not left:
            del self.leaked[device]
