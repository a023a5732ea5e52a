"""The past is read once for each agent, and asked for again while Prometheus does not answer."""

import asyncio
from collections.abc import Collection

import numpy as np
import pytest

from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile import pasts as module
from dlagent.reconcile.pasts import Pasts
from dlagent.reconcile.ports import Key
from tests.unit.reconcile.operator_process import NoPrometheus

NOW = 1_700_000_000.0
SHOES, BOOTS = Key("vision", "shoes"), Key("vision", "boots")
KNOWN = Past(History(np.ones(3, np.float32), NOW))


class Source(NoPrometheus):
    """Answers for every agent but those that are `down`, and counts how often it is asked; never
    in time for those that are `slow`.
    """

    def __init__(
        self, down: Collection[tuple[str, str]] = (), slow: Collection[tuple[str, str]] = ()
    ) -> None:
        self.down, self.slow = down, slow
        self.asked: list[tuple[str, str]] = []

    async def past(self, agent: tuple[str, str], at: float) -> Past | NoData:
        self.asked.append(agent)
        if agent in self.slow:
            await asyncio.Event().wait()
        return NoData("down") if agent in self.down else KNOWN


async def test_each_past_is_read_once() -> None:
    source = Source()
    pasts = Pasts(source)
    assert {SHOES: KNOWN, BOOTS: KNOWN} == await pasts.read([SHOES, BOOTS], NOW)
    assert {} == await pasts.read([SHOES, BOOTS], NOW + 10)
    assert sorted([SHOES, BOOTS]) == sorted(source.asked)


async def test_what_is_forgotten_or_was_gone_is_read_again() -> None:
    pasts = Pasts(Source())
    await pasts.read([SHOES, BOOTS], NOW)
    pasts.forget(SHOES)
    pasts.keep([SHOES])
    assert {SHOES, BOOTS} == (await pasts.read([SHOES, BOOTS], NOW)).keys()


async def test_where_prometheus_does_not_answer_it_is_asked_again_in_a_minute() -> None:
    source = Source(down=[SHOES])
    pasts = Pasts(source)
    assert SHOES not in await pasts.read([SHOES], NOW)
    assert {} == await pasts.read([SHOES], NOW + 10)
    assert [SHOES] == source.asked
    source.down = []
    assert {SHOES} == (await pasts.read([SHOES], NOW + 70)).keys()


async def test_a_clock_that_is_put_back_keeps_nobody_waiting() -> None:
    source = Source(down=[SHOES])
    pasts = Pasts(source)
    await pasts.read([SHOES], NOW)
    source.down = []
    assert {SHOES} == (await pasts.read([SHOES], NOW - 86_400)).keys()


async def test_those_that_are_answered_late_hold_up_a_tick_a_minute_and_no_other_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ROUND_SECONDS", 0.01)
    slow = [Key("vision", f"slow-{number}") for number in range(8)]
    source = Source(slow=slow)
    pasts = Pasts(source)
    assert {} == await pasts.read([*slow, SHOES], NOW)
    assert {} == await pasts.read([*slow, SHOES], NOW + 10)
    assert sorted(slow) == sorted(source.asked)
    assert {SHOES} == (await pasts.read([*slow, SHOES], NOW + 60)).keys()
