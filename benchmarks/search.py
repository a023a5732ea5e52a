"""`search`: successive halving against trying everything.

same_winner     whether both chose the same version, over the networks
share_of_time   the time of the halving search as a share of the exhaustive one's, all networks
                together; `..._s` have each

The baseline makes every version in full, judges it on all selection examples, and then goes through
the same final comparison and the same gate.
"""

import argparse
import time

from benchmarks.bench import report, say
from benchmarks.builds import build_subject
from benchmarks.models.subject import subjects
from dlagent.domain.search.halving import EFFORTS

_EXHAUSTIVE = (1.0,)
_MINUTES = 300  # so much that the time is never what ends a search


def main() -> None:
    """Search twice, report."""
    known = subjects()
    parser = argparse.ArgumentParser(prog="python -m benchmarks search")
    parser.add_argument("--models", default="cnn,resnet,minilm", help="some, with commas")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    winners: dict[str, list[str]] = {}
    seconds: dict[str, list[float]] = {}
    for name in options.models.split(","):
        subject = known[name]()
        for efforts in (EFFORTS, _EXHAUSTIVE):
            began = time.monotonic()
            built = build_subject(subject, _MINUTES, options.epochs, efforts)
            taken = built.report.stage_seconds["search"]
            winners.setdefault(name, []).append(built.report.chosen)
            seconds.setdefault(name, []).append(taken)
            say(f"{name}: {built.report.chosen} in {taken:.0f} of {time.monotonic() - began:.0f} s")
    halving = sum(taken[0] for taken in seconds.values())
    exhaustive = sum(taken[1] for taken in seconds.values())
    report(
        {
            "same_winner": all(first == second for first, second in winners.values()),
            "share_of_time": round(halving / exhaustive, 3),
            "winners": winners,
            "halving_s": {name: round(taken[0], 1) for name, taken in seconds.items()},
            "exhaustive_s": {name: round(taken[1], 1) for name, taken in seconds.items()},
        }
    )


if __name__ == "__main__":
    main()
