"""What `--policy` may say, what a sweep is, and that a policy costs next to nothing."""

import pickle
import timeit
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.replay.policies import SPECIAL, PolicyChoice, PolicyError, parse_policies
from tests.unit.replay.seen import MANIFEST, NAN, seen

BASELINES = ("hpa-rps", "hpa-busy", "hpa-latency", "keda-rps", "kpa", "ray", "fixed")


def names(text: str) -> list[str]:
    return [choice.name for choice in parse_policies(text, MANIFEST)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ours,oracle", ["ours", "oracle"], id="those that the replay makes"),
        pytest.param(
            "hpa-rps:target=0.7",
            ["hpa-rps:target=0.7,stabilization=300"],
            id="the others have their defaults",
        ),
        pytest.param(
            "hpa-rps:stabilization=60",
            ["hpa-rps:target=0.7,stabilization=60"],
            id="the target has one as well",
        ),
        pytest.param(
            "hpa-busy:target=70,stabilization=60,ours",
            ["hpa-busy:target=70,stabilization=60", "ours"],
            id="what is no policy belongs to the one before",
        ),
        pytest.param(
            "hpa-latency:stabilization=0,target=0.9",
            ["hpa-latency:target=0.9,stabilization=0"],
            id="in any order",
        ),
        pytest.param(
            " keda-rps : target = 0.5 , ours ",
            ["keda-rps:target=0.5,stabilization=300", "ours"],
            id="spaces do not matter",
        ),
        pytest.param("kpa:delay=30", ["kpa:target=4.6,delay=30"], id="70 % of the 6.6 at capacity"),
        pytest.param(
            "ray:downscale_delay=300", ["ray:target=2,downscale_delay=300"], id="Ray's own default"
        ),
        pytest.param("fixed:n=4,fixed:n=9", ["fixed:n=4", "fixed:n=9"], id="one policy, twice"),
        pytest.param("fixed:n=4,ours,fixed:n=4", ["fixed:n=4", "ours"], id="the same, once"),
    ],
)
def test_policies_with_their_parameters(text: str, expected: list[str]) -> None:
    assert expected == names(text)


@pytest.mark.parametrize("kind", BASELINES[:-1])
def test_a_sweep_is_of_seven_targets_and_three_windows(kind: str) -> None:
    swept = parse_policies(kind, MANIFEST)
    assert {kind} == {choice.kind for choice in swept}
    targets = Counter(choice.values[0] for choice in swept)
    windows = Counter(choice.values[1] for choice in swept)
    assert len(targets) >= 7
    assert len(windows) == 3
    assert len(swept) == len(targets) * len(windows) == len({choice.name for choice in swept})


def test_fixed_is_swept_from_the_least_to_the_most() -> None:
    expected = [1, 2, 3, 4, 6, 8, 11, 16, 23, 33, 47, 66, 93, 132, 187, 200]
    assert [f"fixed:n={n}" for n in expected] == names("fixed")
    single = parse_policies("fixed", replace(MANIFEST, min_replicas=3, max_replicas=3))
    assert ["fixed:n=3"] == [choice.name for choice in single]


def test_swept_concurrency_follows_what_one_replica_can_do() -> None:
    patient = replace(MANIFEST, threshold_seconds=2.0)
    narrow = [choice.values[0] for choice in parse_policies("kpa", MANIFEST)]
    wide = [choice.values[0] for choice in parse_policies("kpa", patient)]
    assert [1.3, 2.0, 3.0, 4.0, 4.9, 5.9, 7.3] == narrow[::3]
    assert all(more > less for less, more in zip(narrow, wide, strict=True))


def test_a_swept_name_means_the_same_when_it_is_given() -> None:
    every = parse_policies(",".join([*SPECIAL, *BASELINES]), MANIFEST)
    assert every == parse_policies(",".join(choice.name for choice in every), MANIFEST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "ours,hpa:target=1",
            "--policy, item 2 ('hpa:target=1'): a policy is one of ours, oracle, hpa-rps, "
            "hpa-busy, hpa-latency, keda-rps, kpa, ray, fixed",
            id="a name that is none",
        ),
        pytest.param("", "--policy, item 1 (''): a policy is one of", id="nothing"),
        pytest.param("ray,,kpa", "--policy, item 2 (''): a policy is one of", id="a comma more"),
        pytest.param(
            "target=0.7", "--policy, item 1 ('target=0.7'): a policy is one of", id="no policy yet"
        ),
        pytest.param(
            "oracle:n=1", "--policy, item 1 ('oracle:n=1'): oracle has no parameters", id="oracle"
        ),
        pytest.param(
            "ours,n=1", "--policy, item 2 ('n=1'): ours has no parameters", id="ours, separately"
        ),
        pytest.param(
            "fixed:replicas=4",
            "--policy, item 1 ('fixed:replicas=4'): the parameters of fixed are: "
            "n=, replicas, within --min and --max",
            id="a parameter that is none",
        ),
        pytest.param("ray:", "the parameters of ray are: target=, ", id="a colon alone"),
        pytest.param(
            "hpa-rps:target=0.7,target=0.8",
            "--policy, item 2 ('target=0.8'): hpa-rps has target already",
            id="twice",
        ),
        pytest.param(
            "hpa-busy:target=0",
            "--policy, item 1 ('hpa-busy:target=0'): target is a number, 1 to 100: percent of",
            id="too small",
        ),
        pytest.param("hpa-busy:target=101", "target is a number, 1 to 100", id="too large"),
        pytest.param("hpa-rps:stabilization=3601", "a number, 0 to 3600", id="more than an hour"),
        pytest.param("kpa:target=nan", "target is a number, 0.01 to 1000000", id="not a number"),
        pytest.param("kpa:delay=5m", "delay is a number, 0 to 3600", id="a unit"),
        pytest.param("fixed:n=2.5", "n is a whole number, 1 to 200", id="half a replica"),
        pytest.param("fixed:n=300", "n is a whole number, 1 to 200", id="beyond the bounds"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_place(text: str, expected: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policies(text, MANIFEST)
    assert expected in str(refused.value)


def refusal(text: str) -> str | None:
    try:
        parse_policies(text, MANIFEST)
    except PolicyError as refused:
        return str(refused)
    return None


@given(st.lists(st.sampled_from([*SPECIAL, *BASELINES, ":", ",", "=", "n", "target", "4", " "])))
@settings(deadline=None)  # the first sweep works out what one replica can do
def test_any_text_is_understood_or_refused(parts: list[str]) -> None:
    message = refusal("".join(parts))
    assert message is None or message.startswith("--policy, item ")


@pytest.mark.parametrize("kind", BASELINES)
def test_each_run_has_a_policy_of_its_own(kind: str) -> None:
    choice = parse_policies(kind, MANIFEST)[0]
    first, second = choice.make(MANIFEST), choice.make(MANIFEST)
    assert first is not second
    assert choice.name == first.name
    # It goes to the process that runs a seed.
    assert choice == pickle.loads(pickle.dumps(choice))


@pytest.mark.parametrize("kind", SPECIAL)
def test_those_of_the_replay_are_not_made_here(kind: str) -> None:
    (choice,) = parse_policies(kind, MANIFEST)
    assert choice.special
    with pytest.raises(ValueError, match=f"{kind} is not one of the baselines"):
        choice.make(MANIFEST)


@pytest.mark.parametrize("kind", BASELINES)
def test_a_decision_over_200_pods_costs_less_than_a_fifth_of_a_millisecond(kind: str) -> None:
    """With windows as long as they can be, and full."""
    longest: PolicyChoice = max(parse_policies(kind, MANIFEST), key=lambda each: each.values[-1])
    policy = longest.make(MANIFEST)
    figures = np.random.default_rng(1).uniform(0.1, 1.0, 200)
    figures[::10] = NAN
    shown = seen(rates=[*figures], busy=[*figures], concurrency=[*figures], p99_seconds=0.4)
    now = 0.0

    def decide() -> None:
        nonlocal now
        now += policy.period_seconds
        policy.replicas(replace(shown, now=now))

    timeit.timeit(decide, number=500)
    assert min(timeit.repeat(decide, number=200, repeat=5)) / 200 < 200e-6
