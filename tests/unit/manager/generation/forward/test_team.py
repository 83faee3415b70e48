"""The number of threads of a pass, on a machine whose neighbours come and go."""

from __future__ import annotations

import itertools

import pytest

from manager.generation.forward.team import FIRST_WAIT, LONGEST_WAIT, SLOW, Team

LAYERS = 30
QUIET = {2: 0.03, 1: 0.045}
BUSY = {2: 1.5, 1: 0.09}
"""Seconds of a pass by the number of threads, as measured on two cores without and with a neighbour."""


class Machine:
    """Computes passes layer by layer in the time that the number of threads allows."""

    def __init__(self, most: int = 2) -> None:
        self.now = 0.0
        self.threads = 0
        self.seconds = QUIET
        self.passes: list[tuple[float, float]] = []  # when each ended, and how long it took
        self.team = Team(most, self._set_threads, lambda: self.now)

    def _set_threads(self, threads: int) -> None:
        self.threads = threads

    def compute(self, rows: int = 1, tokens: int = 1, model: int = 0, size: float = 1.0) -> float:
        """Compute a pass; its time grows with the tokens and the size of the model."""
        begun = self.now
        self.team.begin(rows, tokens, model)
        for _ in range(LAYERS):
            self.team.look()
            self.now += self.seconds[self.threads or 2] * tokens * size / LAYERS
        self.team.end()
        self.passes.append((self.now, self.now - begun))
        return self.now - begun

    def run(self, seconds: float, tokens: int = 1) -> float:
        """Compute passes for a time; returns passes per second."""
        until, count = self.now + seconds, 0
        while self.now < until:
            self.compute(1, tokens)
            count += 1
        return count / seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_quiet_machine_uses_all_threads_and_pays_little_for_looking(machine: Machine) -> None:
    assert machine.run(60) >= 0.97 / QUIET[2]
    assert machine.team.threads == 2


def test_a_lost_trial_costs_a_single_pass(machine: Machine) -> None:
    machine.run(60)
    slow = [ended for ended, took in machine.passes if took > 1.2 * QUIET[2]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(slow)]
    assert slow
    assert all(gap >= FIRST_WAIT for gap in gaps)


def test_a_busy_neighbour_is_noticed_within_a_few_passes(machine: Machine) -> None:
    machine.run(20)
    machine.seconds = BUSY
    begun = machine.now
    while machine.team.threads == 2:
        machine.compute()
    assert machine.now - begun <= 10 * BUSY[1]
    assert machine.run(60) >= 0.9 / BUSY[1]


def test_all_threads_come_back_when_the_neighbour_is_gone(machine: Machine) -> None:
    machine.run(20)
    machine.seconds = BUSY
    machine.run(60)
    machine.seconds = QUIET
    machine.run(2 * LONGEST_WAIT)
    assert machine.team.threads == 2


def test_after_a_pause_all_threads_are_tried_at_once(machine: Machine) -> None:
    machine.run(20)
    machine.seconds = BUSY
    machine.run(60)
    assert machine.team.threads == 1
    machine.seconds = QUIET
    machine.now += 2 * FIRST_WAIT
    for _ in range(5):
        machine.compute()
    assert machine.team.threads == 2


def test_a_pass_that_takes_too_long_finishes_on_one_thread(machine: Machine) -> None:
    machine.run(FIRST_WAIT / 2)
    machine.seconds = BUSY
    assert machine.compute() <= SLOW * QUIET[2] + BUSY[2] / LAYERS + BUSY[1]


def test_a_long_prompt_is_not_taken_for_a_slow_pass(machine: Machine) -> None:
    machine.run(20)
    for _ in range(20):
        machine.compute(tokens=128)
        machine.compute()
    assert machine.team.threads == 2


def test_one_slow_pass_does_not_change_the_number_of_threads(machine: Machine) -> None:
    machine.run(20)
    machine.seconds = BUSY
    machine.compute()
    machine.seconds = QUIET
    machine.run(1)
    assert machine.team.threads == 2


def test_a_large_model_is_not_taken_for_a_slow_pass_of_a_small_one(machine: Machine) -> None:
    for _ in range(500):
        machine.compute(model=1)
        used = machine.compute(model=2, size=13.0)
        assert used == pytest.approx(13 * QUIET[2]) or machine.threads == 1, "one thread is a trial's only"
    slower = [took for _, took in machine.passes if took == pytest.approx(13 * QUIET[1])]
    assert len(slower) < 50
    assert machine.team.threads == 2


def test_a_pass_that_fails_is_neither_quick_nor_a_won_trial(machine: Machine) -> None:
    machine.run(FIRST_WAIT + 1)
    machine.now += LONGEST_WAIT  # a trial is due
    for _ in range(20):
        machine.compute()
        machine.team.begin(1, 1)
        machine.team.abandon()
    machine.seconds = QUIET
    assert machine.compute() == pytest.approx(QUIET[2])
    assert machine.team.threads == 2


def test_one_core_has_nothing_to_choose() -> None:
    machine = Machine(most=1)
    machine.run(5)
    assert machine.threads == 0
    assert machine.team.threads == 1
