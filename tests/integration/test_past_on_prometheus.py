"""What an operator that starts reads back: from the real Prometheus, out of hours of samples."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlagent.adapters.prometheus import Prometheus
from dlagent.domain.scaling.budget import BIN_SECONDS
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.values import NoData
from dlagent_local import standalone

HOURS = 2
SCRAPE_SECONDS = 15
GAP_MINUTES = range(30, 40)  # in which nothing was scraped
LABELS = '{agent_namespace="vision",agent="shoes",instance="old"}'
AGENT = ("vision", "shoes")


@dataclass(frozen=True)
class Connection:
    url: str
    scrape_interval_seconds: int = SCRAPE_SECONDS
    timeout_seconds: int = 10
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


@pytest.fixture(scope="module")
def now() -> float:
    """A little after a whole quarter of an hour."""
    return math.floor(time.time() / BIN_SECONDS) * BIN_SECONDS + 5


@pytest.fixture(scope="module")
def url(now: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    samples = folder / "samples.txt"
    samples.write_text(recorded(now))
    made = standalone.promtool(
        "tsdb", "create-blocks-from", "openmetrics", str(samples), str(folder / "data")
    )
    assert made.returncode == 0, made.stderr
    with standalone.prometheus({}, folder) as running:
        yield running.url


def recorded(now: float) -> str:
    """As OpenMetrics: the operator's gauge, by two of its processes, and the chart's records."""
    begins = int(now) - HOURS * 3600
    minutes = [minute for minute in range(60 * HOURS) if minute not in GAP_MINUTES]
    scrapes = [
        60 * minute + second for minute in minutes for second in range(0, 60, SCRAPE_SECONDS)
    ]

    def series(name: str, labels: str, seconds: list[int], value: Callable[[int], float]) -> str:
        return "".join(f"{name}{labels} {value(s)} {begins + s}\n" for s in seconds)

    gauge = "dlagent_arrival_requests_per_second"
    each_minute = [60 * minute for minute in minutes]
    return (
        f"# TYPE {gauge} gauge\n"
        + series(gauge, LABELS, scrapes, lambda second: 10 + second // 60)
        + series(gauge, LABELS.replace("old", "follower"), scrapes, lambda _: 0)
        + "# TYPE dlagent:slo_requests:increase5m gauge\n"
        + series("dlagent:slo_requests:increase5m", LABELS, each_minute, lambda _: 500)
        + "# TYPE dlagent:slo_good_requests:increase5m gauge\n"
        + series("dlagent:slo_good_requests:increase5m", LABELS, each_minute, lambda _: 490)
        + "# EOF\n"
    )


async def read(url: str, agent: tuple[str, str], now: float) -> Past:
    prometheus = Prometheus(Connection(url), [])
    try:
        past = await prometheus.past(agent, now)
    finally:
        await prometheus.close()
    assert not isinstance(past, NoData)
    return past


async def test_the_load_comes_back_minute_by_minute_with_its_gap(url: str, now: float) -> None:
    history = (await read(url, AGENT, now)).history

    assert now - 120 < history.ends <= now
    rates = history.rates.tolist()
    rising = [rate for rate in rates if not math.isnan(rate)]
    assert rising == sorted(rising)
    assert pytest.approx(10 + 60 * HOURS - 1, abs=1.5) == rising[-1]
    assert 60 * HOURS - 3 <= len(rates) <= 60 * HOURS
    missing = [number for number, rate in enumerate(rates) if math.isnan(rate)]
    assert len(GAP_MINUTES) - 1 <= len(missing) <= len(GAP_MINUTES)
    assert missing == list(range(missing[0], missing[-1] + 1))


async def test_the_budget_comes_back_by_quarters_of_an_hour(url: str, now: float) -> None:
    bins = (await read(url, AGENT, now)).budget.bins

    assert [each.begins for each in bins] == sorted(each.begins for each in bins)
    assert {0.0} == {each.begins % BIN_SECONDS for each in bins}
    assert bins[-1].begins == math.floor(now / BIN_SECONDS - 1) * BIN_SECONDS
    whole = bins[-1]
    assert pytest.approx(15 * 100) == whole.requests, "500 in each five minutes"
    assert pytest.approx(0.02 * whole.requests) == whole.missed


async def test_of_an_agent_that_was_never_recorded_there_is_no_past(url: str, now: float) -> None:
    past = await read(url, ("vision", "hats"), now)
    assert (0, ()) == (len(past.history.rates), past.budget.bins)
