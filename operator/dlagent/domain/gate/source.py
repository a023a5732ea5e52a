"""Whether the source itself answers the data set's examples: else no candidate can be judged by it.

Called by the build's pipeline before it tries candidates.
"""

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # has no types

from dlagent.domain.gate.metrics import Labels, Scores, is_right

# So rarely a network that guesses is refused. One that is worse than guessing is refused the more
# surely the more examples there are.
_LEVEL = 0.001


def source_problem(scores: Scores, labels: Labels | None, k: int = 1) -> str | None:
    """None where the source's own outputs can be a reference, else what is wrong and what to do.

    Scores are [examples, classes] where there are labels, which `check_labels` has let pass; `k`
    is that of the metric. Worse than chance means: so few labels are among the k highest scores
    that k classes drawn at random would be as bad with a chance of at most 0.1 % (exact binomial
    test).
    """
    broken = ~np.isfinite(scores).reshape(len(scores), -1).all(axis=1)
    if broken.any():
        return (
            f"the source itself gives NaN or infinity for {np.count_nonzero(broken):,} of"
            f" {len(scores):,} examples, first for number {int(np.argmax(broken))} of them; see"
            " that the examples are what a client sends, and that the network was trained on such"
        )
    if labels is None:
        return None
    right, examples, classes = is_right(scores, labels, k), len(labels), scores.shape[-1]
    chance = k / classes
    if k >= classes or stats.binom.cdf(np.count_nonzero(right), examples, chance) > _LEVEL:
        return None
    return (
        f"the source itself is right for {right.mean():.2%} of {examples:,} examples, which is less"
        f" than guessing among {classes} classes gives ({chance:.2%}); see that labels number the"
        " classes as the network does, from 0, and that the examples are what a client sends,"
        " before perceive"
    )
