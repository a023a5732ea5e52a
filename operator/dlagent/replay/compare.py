"""Runs policies against the same requests, seed by seed, on several processes.

Runs know nothing of each other, but for the oracle, which comes last of its seed. So all figures
are the same however many processes there are, but for how long a run took. `dlagent replay` and
the benchmark `scaler` call `compare`.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context

import numpy as np

from dlagent.domain.scaling.history import KEPT_STEPS, History
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay.engine import Outcome, Requests, World, replay
from dlagent.replay.faults import Fault
from dlagent.replay.oracle import hindsight
from dlagent.replay.ours import Ours
from dlagent.replay.policies import PolicyChoice
from dlagent.replay.policy import Floats, Manifest, Policy
from dlagent.replay.requests import Load, draw, initial_replicas
from dlagent.replay.routing import parse_routing
from dlagent.replay.rows import Row, row, with_cost_ratios

OURS, ORACLE, FIXED = "ours", "oracle", "fixed"


@dataclass(frozen=True)
class Setup:
    """What is compared, on what; `routing` is as `--routing` takes it."""

    load: Load
    manifest: Manifest
    routing: str
    faults: tuple[Fault, ...]
    choices: tuple[PolicyChoice, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many there are."""
        return len(self.choices) * len(self.seeds)

    def world(self, seed: int) -> World:
        """As it is at the beginning."""
        return World(
            manifest=self.manifest,
            service=self.manifest.service,
            pod_start_seconds=self.manifest.pod_start_seconds,
            routing=parse_routing(self.routing, seed),
            faults=self.faults,
            initial=initial_replicas(self.load, self.manifest),
        )


@dataclass(frozen=True)
class Run:
    """What one policy came to with one seed; `remark` is what the oracle says of its plan."""

    choice: PolicyChoice
    row: Row
    outcome: Outcome
    remark: str = ""


def make_ours(manifest: Manifest, past: Floats, requests: Requests) -> Policy:
    """The operator's own policy, given requests/s by minute up to where the replay begins."""
    return Ours(manifest, History(past[-KEPT_STEPS:].astype(np.float32), requests.begins))


def compare(setup: Setup, jobs: int) -> Iterator[Run]:
    """Each run as it ends, in no order and without a cost ratio; `in_order` makes rows of them.

    Raises TraceError where a seed draws no request.
    """
    return _one_by_one(setup) if jobs == 1 else _in_processes(setup, jobs)


def in_order(setup: Setup, runs: list[Run]) -> list[Run]:
    """By seed and in the order of the choices, costs being related to the oracle's."""
    place = {choice: number for number, choice in enumerate(setup.choices)}
    runs = sorted(runs, key=lambda run: (run.row.seed, place[run.choice]))
    rows = with_cost_ratios([run.row for run in runs], ORACLE)
    return [replace(run, row=related) for run, related in zip(runs, rows, strict=True)]


def run_policy(setup: Setup, choice: PolicyChoice, seed: int) -> Run:
    """One policy with the requests of one seed."""
    _compile()
    requests, history = draw(setup.load, seed)
    if choice.kind == OURS:
        policy = make_ours(setup.manifest, history, requests)
    else:
        policy = choice.make(setup.manifest)
    world = setup.world(seed)
    if choice.kind == FIXED:  # it is as many from the beginning
        world = replace(world, initial=int(choice.values[0]))
    began = time.perf_counter()
    outcome = replay(world, requests, policy)
    return _run(setup, choice, seed, outcome, began)


def run_oracle(
    setup: Setup, choice: PolicyChoice, seed: int, others: Mapping[PolicyChoice, Outcome]
) -> Run:
    """Hindsight on one seed; `others` are the outcomes of its policies."""
    _compile()
    requests, _ = draw(setup.load, seed)
    began = time.perf_counter()
    known = [(each.name, others[each]) for each in setup.choices if each in others]
    found = hindsight(setup.world(seed), requests, known)
    remark = f"at most {found.gap:.2%} above the bound of its table"
    if not found.attains:
        remark = _why_none(setup, found.outcome)
    elif found.found_by != "planned":
        remark += f"; {found.found_by} did as it does"
    return replace(_run(setup, choice, seed, found.outcome, began), remark=remark)


def _why_none(setup: Setup, best: Outcome) -> str:
    """Why no plan keeps the objective, given the outcome that attains most."""
    manifest, none = setup.manifest, "no plan was found that keeps the objective"
    at_first = [number for at, number in best.plan if at <= 0][-1]
    if manifest.max_replicas in (at_first, *(number for at, number in best.plan if at > 0)):
        return f"{none} within --max"
    if parse_routing(setup.routing).connections:
        return f"{none}: connections stay with the pods of the beginning (--routing)"
    return f"{none}: pods may start too slowly (--pod-start)"


def _run(setup: Setup, choice: PolicyChoice, seed: int, outcome: Outcome, began: float) -> Run:
    seconds = time.perf_counter() - began
    return Run(choice, row(choice.name, seed, outcome, setup.manifest.objective, seconds), outcome)


def _one_by_one(setup: Setup) -> Iterator[Run]:
    for seed in setup.seeds:
        others: dict[PolicyChoice, Outcome] = {}
        for choice in _policies(setup):
            run = run_policy(setup, choice, seed)
            others[choice] = run.outcome
            yield run
        for choice in _oracles(setup):
            yield run_oracle(setup, choice, seed, others)


def _in_processes(setup: Setup, jobs: int) -> Iterator[Run]:
    policies, oracles = _policies(setup), _oracles(setup)
    others: dict[int, dict[PolicyChoice, Outcome]] = {seed: {} for seed in setup.seeds}
    # Not by fork: numba has threads, and so has who shows the progress.
    pool = ProcessPoolExecutor(min(jobs, setup.runs), mp_context=get_context("spawn"))
    try:
        running: set[Future[Run]] = set()
        for seed in setup.seeds:
            running |= {pool.submit(run_policy, setup, choice, seed) for choice in policies}
            if not policies:
                running |= {pool.submit(run_oracle, setup, choice, seed, {}) for choice in oracles}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                run = future.result()
                seed, known = run.row.seed, others[run.row.seed]
                yield run
                if run.choice.kind == ORACLE:
                    continue
                known[run.choice] = run.outcome
                if len(known) == len(policies):
                    running |= {
                        pool.submit(run_oracle, setup, choice, seed, known) for choice in oracles
                    }
    finally:
        pool.shutdown(cancel_futures=True)


def _policies(setup: Setup) -> list[PolicyChoice]:
    return [choice for choice in setup.choices if choice.kind != ORACLE]


def _oracles(setup: Setup) -> list[PolicyChoice]:
    return [choice for choice in setup.choices if choice.kind == ORACLE]


@cache
def _compile() -> None:
    """What numba compiles, or reads from its cache, counts for no run."""
    manifest = Manifest(ServiceTime(0.01, 0.01, 1), 1.0, 0.9, 1, 1, 1.0, 1.0)
    requests = Requests(np.array([0.5]), np.array([0.5]), 20.0)
    world = World(manifest, manifest.service, 1.0, parse_routing("random"))
    ours = make_ours(manifest, np.zeros(0), requests)
    hindsight(world, requests, [(OURS, replay(world, requests, ours))])
