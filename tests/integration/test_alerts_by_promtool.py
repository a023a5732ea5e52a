"""The alerts of the chart's rules by Prometheus' own promtool: hours of samples in a moment."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dlagent_local import standalone

RULES = Path(__file__).parents[2] / "charts/dlagent-operator/files/rules.yaml"
AGENT = '{agent_namespace="vision",agent="shoes"}'
FAST = "DLAgentBudgetBurnsFast"
STEADY = "DLAgentBudgetBurnsSteadily"
SLOW = "DLAgentBudgetBurnsSlowly"
HOUR = 60  # minutes

Json = dict[str, Any]


class Minutes(NamedTuple):
    """So many minutes with as many `requests` in each, of which `missed` were not in time."""

    length: int
    requests: float
    missed: float = 0


class Case(NamedTuple):
    """What came, one part after the other, and which alerts fire at the end of it."""

    parts: list[Minutes]
    firing: list[str]
    objective: float | None = 0.99


NOTHING_YET = [Minutes(HOUR, 0)]
GOOD = [Minutes(4 * HOUR, 100)]
CASES = {
    "all requests are in time": Case(GOOD, []),
    "as many miss as the objective allows": Case([Minutes(4 * HOUR, 100, 0.99)], []),
    "nothing was ever asked": Case(NOTHING_YET, []),
    "three requests came, and all missed": Case([*NOTHING_YET, Minutes(3, 1, 1)], []),
    "twenty requests came, and all missed": Case(
        [*NOTHING_YET, Minutes(20, 1, 1)], [FAST, STEADY, SLOW]
    ),
    "nothing is in time for 8 minutes after good hours": Case(
        [*GOOD, Minutes(8, 100, 100)], [SLOW]
    ),
    "nothing is in time for 12 minutes after good hours": Case(
        [*GOOD, Minutes(12, 100, 100)], [FAST, SLOW]
    ),
    "that is over since 10 minutes": Case([*GOOD, Minutes(12, 100, 100), Minutes(10, 100)], [SLOW]),
    "a tenth misses, 10 times what may, for half an hour": Case(
        [*GOOD, Minutes(30, 100, 10)], [SLOW]
    ),
    "a tenth misses for the last 5 of 9 hours": Case(
        [*GOOD, Minutes(5 * HOUR, 100, 10)], [STEADY, SLOW]
    ),
    "that is over since an hour": Case(
        [*GOOD, Minutes(5 * HOUR, 100, 10), Minutes(HOUR, 100)], [SLOW]
    ),
    "that is over since 6 hours": Case(
        [*GOOD, Minutes(5 * HOUR, 100, 10), Minutes(6 * HOUR + 10, 100)], []
    ),
    "a tenth misses where a tenth may": Case([Minutes(HOUR, 100, 9.9)], [], 0.9),
    "2 % miss where one in a thousand may": Case(
        [Minutes(HOUR, 100, 2)], [FAST, STEADY, SLOW], 0.999
    ),
    "nobody tells the objective": Case([Minutes(HOUR, 100, 100)], [], None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_who_is_called(case: Case, tmp_path: Path) -> None:
    minutes = sum(part.length for part in case.parts)
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.firing],
    }

    check(tmp_path, {**scraped(case), "promql_expr_test": [firing]})


@pytest.mark.parametrize(
    ("alert", "severity"),
    [
        pytest.param(FAST, "page", id="fast"),
        pytest.param(STEADY, "page", id="steadily"),
        pytest.param(SLOW, "ticket", id="slowly"),
    ],
)
def test_an_alert_names_the_agent_and_how_urgent_it_is(
    alert: str, severity: str, tmp_path: Path
) -> None:
    case = Case([Minutes(HOUR, 100, 50)], [FAST, STEADY, SLOW])
    labels = {"agent_namespace": "vision", "agent": "shoes", "severity": severity}
    told = {"exp_labels": labels, "exp_annotations": {"summary": "none of this"}}
    test = {"eval_time": f"{HOUR}m", "alertname": alert, "exp_alerts": [told]}

    said = promtool(tmp_path, {**scraped(case), "alert_rule_test": [test]})

    # promtool compares whole texts; what it got instead is in what it says.
    assert "vision/shoes spends its error budget 50.0 times" in said
    assert "kubectl describe dlagent -n vision shoes" in said
    assert f'severity="{severity}"' in said


def test_promtool_knows_the_syntax() -> None:
    result = standalone.promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert 0 == result.returncode, result.stdout + result.stderr


def scraped(case: Case) -> Json:
    """What Prometheus has of the operator, each minute."""
    requests, good = [0.0], [0.0]
    for part in case.parts:
        for _ in range(part.length):
            requests.append(requests[-1] + part.requests)
            good.append(good[-1] + part.requests - part.missed)
    series = {"dlagent_slo_requests_total": requests, "dlagent_slo_good_requests_total": good}
    if case.objective is not None:
        series["dlagent_slo_objective_ratio"] = [case.objective] * len(requests)
    return {
        "interval": "1m",
        "input_series": [
            {"series": name + AGENT, "values": " ".join(map(str, values))}
            for name, values in series.items()
        ],
    }


def check(folder: Path, test: Json) -> None:
    said = promtool(folder, test)
    assert "SUCCESS" in said, said


def promtool(folder: Path, test: Json) -> str:
    """What it says of a test of the rules."""
    file = folder / "test.yaml"
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    result = standalone.promtool("test", "rules", str(file))
    return result.stdout + result.stderr
