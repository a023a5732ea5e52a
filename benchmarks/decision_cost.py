"""`decision_cost`: what one decision about replicas costs the operator.

Each agent has three days of load behind it and is looked at for half an hour, tick by tick by turns
with all others, so that its state is as cold as it is live. Each learns anew once in that time. No
cluster, one minute. Times are of the CPU.

microseconds           of one decision, what is learned each half hour included
foresee_milliseconds   of learning anew, the median
bytes_per_agent        of the state, by tracemalloc
baseline_microseconds  of a decision by the present load alone, without a history
"""

import argparse
import time
import tracemalloc
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from benchmarks.bench import report, say
from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.foresight import foresee
from dlagent.domain.scaling.history import DAY_STEPS, KEPT_STEPS, STEP_SECONDS, History
from dlagent.domain.scaling.model import ScalingSettings, ScalingState
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply
from dlagent.domain.scaling.values import Measured

TICK_SECONDS = 10.0
TICKS = 180  # half an hour: each agent learns once
BASELINE_TICKS = 50  # before there are the ten minutes from which one learns
MEASURED_BYTES = 50  # agents; to trace memory is slow
SETTINGS = ScalingSettings(
    service=ServiceTime(0.040, 0.020, 8),
    threshold_seconds=0.5,
    objective=0.99,
    min_replicas=1,
    max_replicas=200,
    tick_seconds=TICK_SECONDS,
    hold_seconds=120,
    pod_start_seconds=60,
)
POD = PodSeen("pod", Supply.READY, 0.0, 1.0)


@dataclass
class Agent:
    """One that is decided about; `rate` is what arrives on average, in requests/s."""

    settings: ScalingSettings
    rate: float
    state: ScalingState
    replicas: int = 1


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks decision_cost")
    parser.add_argument("--agents", type=int, default=1000)
    count: int = parser.parse_args().agents
    random = np.random.default_rng(1)
    now = KEPT_STEPS * STEP_SECONDS
    say(f"{count} agents learn")
    agents = [_agent(number, count, random, now) for number in range(count)]
    learning = median(_foresee_seconds(agent, now) for agent in agents[:20])
    _seconds(agents, now, 1, random)
    say(f"{TICKS} ticks of each")
    spent = _seconds(agents, now + TICK_SECONDS, TICKS, random) / (count * TICKS)
    fresh = [Agent(agent.settings, agent.rate, ScalingState()) for agent in agents]
    baseline = _seconds(fresh, now, BASELINE_TICKS, random) / (count * BASELINE_TICKS)
    report(
        {
            "microseconds": round(1e6 * spent, 1),
            "foresee_milliseconds": round(1e3 * learning, 2),
            "bytes_per_agent": _bytes(random, now),
            "baseline_microseconds": round(1e6 * baseline, 1),
            "agents": count,
            "decisions": count * TICKS,
        }
    )


def _agent(number: int, count: int, random: np.random.Generator, now: float) -> Agent:
    """Its load goes with the time of day, at a tenth of a replica to thirty of them."""
    assert SETTINGS.service is not None
    one = capacity(SETTINGS.service, SETTINGS.threshold_seconds, SETTINGS.objective)
    mean = one * 0.1 * 300.0 ** (number / count)
    day = np.sin(2 * np.pi * (np.arange(KEPT_STEPS) / DAY_STEPS + random.random()))
    arrivals = random.poisson(mean * (1 + 0.6 * day) * STEP_SECONDS)
    rates = (arrivals / STEP_SECONDS).astype(np.float32)
    settings = replace(SETTINGS, phase_seconds=3600.0 * number / count)
    return Agent(settings, float(rates[-1]), ScalingState(history=History(rates, now)))


def _seconds(agents: list[Agent], now: float, ticks: int, random: np.random.Generator) -> float:
    """CPU time of so many ticks of all agents."""
    spent = 0.0
    for number in range(ticks):
        at = now + number * TICK_SECONDS
        seen = [_signals(agent, at, random) for agent in agents]
        began = time.process_time()
        for agent, signals in zip(agents, seen, strict=True):
            agent.state, decision = decide(agent.state, signals, agent.settings, at)
            agent.replicas = decision.desired
        spent += time.process_time() - began
    return spent


def _signals(agent: Agent, at: float, random: np.random.Generator) -> Signals:
    counted = float(1 + random.poisson(agent.rate * STEP_SECONDS))
    requests = agent.rate * TICK_SECONDS
    return Signals(
        Measured(counted / STEP_SECONDS, at),
        agent.replicas,
        counted=counted,
        pods=(POD,) * agent.replicas,
        requests=requests,
        missed=0.005 * requests,
    )


def _foresee_seconds(agent: Agent, now: float) -> float:
    state, _ = decide(agent.state, _signals(agent, now, np.random.default_rng(1)), SETTINGS, now)
    assert state.foresight is not None
    began = time.process_time()
    foresee(state.history, state.foresight.outlook, now)
    return time.process_time() - began


def _bytes(random: np.random.Generator, now: float) -> int:
    """Of the state of one agent after half an hour."""
    tracemalloc.start()
    try:
        agents = [_agent(n, MEASURED_BYTES, random, now) for n in range(MEASURED_BYTES)]
        _seconds(agents, now, TICKS, random)
        return tracemalloc.get_traced_memory()[0] // MEASURED_BYTES
    finally:
        tracemalloc.stop()
