"""Which batch is tried next, and when it is enough."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.tuning.table import Workers
from dlagent.domain.tuning.trials import BATCHES, Done, Trial, TrialSpace, next_trial, trial_space

Tau = Callable[[int, Workers], float]


def tried(tau: Tau, space: TrialSpace, budget: int = 99) -> list[tuple[int, int, int]]:
    """Instances, threads and batch of each trial."""
    points: list[TauPoint] = []
    while isinstance(trial := next_trial(points, space, budget), Trial):
        workers = trial.workers
        points.append(
            TauPoint(
                batch=trial.batch,
                milliseconds=tau(trial.batch, workers),
                threads=workers.threads,
                instances=workers.instances,
            )
        )
    return [(p.instances, p.threads, p.batch) for p in points]


ONE = trial_space(batched=True, cores=1)
TWO = trial_space(batched=True, cores=2)
DEVICE = trial_space(batched=True, cores=1, accelerated=True)


def line(base: float, per_item: float) -> Tau:
    return lambda batch, _: base + per_item * batch


@pytest.mark.parametrize(
    ("tau", "space", "expected"),
    [
        pytest.param(line(4, 1), ONE, [1, 64, 8], id="a line: both ends and one between"),
        pytest.param(line(40, 20), ONE, [1, 16, 32], id="no batch of more than a second"),
        pytest.param(line(0, 2000), ONE, [1], id="a slow model is measured by one batch"),
        pytest.param(
            lambda b, _: 10 if b <= 8 else 10 + (b - 8),
            ONE,
            [1, 64, 8, 4, 32, 16],
            id="a bend: what is beside it",
        ),
        pytest.param(
            line(4, 1), trial_space(batched=False, cores=1), [1], id="without batches: one"
        ),
    ],
)
def test_batches_of_one_instance(tau: Tau, space: TrialSpace, expected: list[int]) -> None:
    assert [(1, 1, batch) for batch in expected] == tried(tau, space)


PLAIN = [(1, 1, 1), (1, 1, 64), (1, 1, 8)]


@pytest.mark.parametrize(
    ("tau", "space", "others"),
    [
        pytest.param(
            lambda b, w: (4 + b) * w.instances,
            DEVICE,
            [(2, 1, 1), (2, 1, 8)],
            id="a device that all share: two show it, and four are not tried",
        ),
        pytest.param(
            lambda b, w: (4 + b) * (2 if w.instances == 4 else 1),
            DEVICE,
            [(2, 1, 1), (2, 1, 8), (2, 1, 64), (4, 1, 1), (4, 1, 8)],
            id="two help, four do not help more",
        ),
        pytest.param(
            lambda b, w: 4 + b / w.threads,
            TWO,
            [(1, 2, 1), (1, 2, 8), (1, 2, 64), (2, 1, 1), (2, 1, 8), (2, 1, 64)],
            id="threads and instances both help",
        ),
        pytest.param(
            lambda b, w: (4 + b) * (1.1 if b == 1 and w.instances == 2 else 1),
            TWO,
            [(1, 2, 1), (1, 2, 8), (2, 1, 1), (2, 1, 8), (2, 1, 64)],
            id="threads do not help, instances do",
        ),
    ],
)
def test_more_workers(tau: Tau, space: TrialSpace, others: list[tuple[int, int, int]]) -> None:
    assert [*PLAIN, *others] == tried(tau, space)


def test_more_than_the_budget_is_not_tried() -> None:
    assert [(1, 1, 1), (1, 1, 64)] == tried(line(4, 1), TWO, budget=2)


def test_the_end_has_a_reason() -> None:
    one = [TauPoint(batch=1, milliseconds=1)]
    assert Done("1 trials are all that may be spent") == next_trial(one, ONE, 1)
    space = trial_space(batched=False, cores=1)
    assert Done("the rest follows from what was measured") == next_trial(one, space, 9)


@pytest.mark.parametrize(
    ("cores", "accelerated", "expected"),
    [
        pytest.param(0, False, [(1, 1)], id="less than a core"),
        pytest.param(2, False, [(1, 1), (1, 2), (2, 1)], id="two cores"),
        pytest.param(4, False, [(1, 1), (1, 2), (2, 1), (1, 4), (2, 2), (4, 1)], id="four cores"),
        pytest.param(1, True, [(1, 1), (2, 1), (4, 1)], id="a device: instances only"),
    ],
)
def test_what_there_is_to_try(
    cores: int, accelerated: bool, expected: list[tuple[int, int]]
) -> None:
    space = trial_space(True, cores, accelerated)
    assert [Workers(*each) for each in expected] == list(space.workers)
    assert BATCHES == space.batches


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(
    st.dictionaries(
        st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.sampled_from(BATCHES)),
        st.floats(0.01, 500),
    )
)
def test_whatever_is_measured_no_trial_comes_twice(
    times: dict[tuple[int, int, int], float],
) -> None:
    space = trial_space(True, 4)

    def tau(batch: int, workers: Workers) -> float:
        return times.get((workers.instances, workers.threads, batch), 1.0)

    found = tried(tau, space)
    assert len(set(found)) == len(found) <= len(space.workers) * len(BATCHES)
    assert (1, 1, 1) == found[0]
