import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dlagent.build.optimisations import distillation
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.distillation import (
    HARD_LABELS_SHARE,
    TEMPERATURE,
    Lesson,
    Training,
    classification_loss,
    loss_for,
)
from dlagent.build.optimisations.modules import outputs_of, trainable
from tests.unit.build.optimisations.networks import exported

SIZE = 8  # of the pictures, square, with one channel


def pictures(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def small_network(seed: int) -> torch.fx.GraphModule:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8 * 16, 4),
    )
    return trainable(exported(network, [pictures(2)]), [pictures(2)])


def lesson(count: int, *, labelled: bool = True) -> Lesson:
    """What a network of the same shape answers."""
    inputs = pictures(count)
    taught = outputs_of(small_network(seed=7), [inputs])
    return Lesson([inputs], taught, taught[0].argmax(1) if labelled else None)


def weights(network: nn.Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in network.state_dict().values()]


@pytest.mark.parametrize("labelled", [True, False], ids=["with labels", "without"])
def test_a_student_comes_to_answer_what_its_teacher_answers(labelled: bool) -> None:
    unseen = [pictures(500, seed=2)]
    taught = outputs_of(small_network(seed=7), unseen)[0].argmax(1)

    def agreement(network: nn.Module) -> float:
        return float((outputs_of(network, unseen)[0].argmax(1) == taught).float().mean())

    student = small_network(seed=8)
    before = agreement(student)
    trained = Training(student, lesson(500, labelled=labelled), epochs=3).advance(1)

    assert before < 0.4
    assert agreement(trained) > 0.6


def test_an_estimate_first_gives_the_same_bytes_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ever_better = itertools.count(0, -1)
    monkeypatch.setattr(Training, "_held_out_loss", lambda _: next(ever_better))
    taught = lesson(100)
    in_parts = Training(small_network(seed=8), taught, epochs=4)
    at_once = Training(small_network(seed=8), taught, epochs=4)

    quarter = in_parts.advance(0.25)
    half = in_parts.advance(0.5)
    whole = in_parts.advance(1)

    assert weights(at_once.advance(1)) == weights(whole)
    assert weights(quarter) != weights(half) != weights(whole)


def test_neither_the_number_of_threads_nor_other_random_numbers_change_a_bit() -> None:
    taught = lesson(100)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        torch.manual_seed(1)
        one = Training(small_network(seed=8), taught, epochs=2).advance(1)
        torch.set_num_threads(4)
        torch.manual_seed(2)
        four = Training(small_network(seed=8), taught, epochs=2).advance(1)
        assert 4 == torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)

    assert not torch.are_deterministic_algorithms_enabled()
    assert weights(one) == weights(four)


@pytest.mark.parametrize(
    ("effort", "epochs"),
    [
        pytest.param(0.01, 1, id="one epoch at least"),
        pytest.param(0.1, 1, id="a tenth of ten"),
        pytest.param(0.25, 3, id="begun epochs are finished"),
        pytest.param(0.7, 7, id="binary fractions do not add one"),
        pytest.param(1.0, 10, id="all"),
    ],
)
def test_effort_is_a_share_of_the_epochs(
    effort: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distillation, "PATIENCE_SHARE", 1)
    training = Training(small_network(seed=8), lesson(20), epochs=10)

    training.advance(effort)

    assert training.notes()["epochs"].startswith(f"{epochs} of 10, ")


def test_the_best_epoch_comes_out_and_training_ends_when_none_is_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses = iter([3.0, 1.0, 2.0, 1.0, 2.0, 1.5, 2.0])
    monkeypatch.setattr(Training, "_held_out_loss", lambda _: next(losses))
    training = Training(small_network(seed=8), lesson(20), epochs=10)

    second = training.advance(0.2)
    last = training.advance(1)

    assert {"epochs": "7 of 10, best after 2"} == training.notes()
    assert weights(second) == weights(last)


def test_a_loss_that_is_no_number_is_an_error() -> None:
    taught = lesson(100)
    taught.inputs[0][:] = math.nan

    with pytest.raises(OptimisationError, match="training diverged"):
        Training(small_network(seed=8), taught, epochs=1).advance(1)


def test_an_operation_without_a_derivative_is_an_error() -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(SIZE * SIZE, 4)

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.head(x.flatten(1))
            return scores.argmax(1).float().unsqueeze(1).expand(-1, 4)

    network = trainable(exported(Rounded(), [pictures(2)]), [pictures(2)])

    with pytest.raises(OptimisationError, match="cannot be trained"):
        Training(network, lesson(100), epochs=1).advance(1)


def test_the_loss_of_classes_is_the_formula() -> None:
    """By hand, with probabilities softmax(z / T): KL(p || q) T^2 and -log q of the label."""
    answered, taught = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]])

    def softened(logits: Tensor, temperature: float) -> list[float]:
        powers = [math.exp(float(z) / temperature) for z in logits[0]]
        return [power / sum(powers) for power in powers]

    soft = sum(
        p * math.log(p / q)
        for p, q in zip(softened(taught, TEMPERATURE), softened(answered, TEMPERATURE), strict=True)
    )
    hard = -math.log(softened(answered, 1)[1])
    expected = (1 - HARD_LABELS_SHARE) * TEMPERATURE**2 * soft + HARD_LABELS_SHARE * hard

    loss = classification_loss([answered], Lesson([], [taught], torch.tensor([1])))

    assert expected == pytest.approx(float(loss), rel=1e-5)


def scores(count: int = 50) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(5))


LABELS = torch.arange(50) % 4


@pytest.mark.parametrize(
    ("taught", "labels", "wrong", "expected"),
    [
        pytest.param(
            [scores()], LABELS, [scores() + 1], 0, id="class scores may be shifted by a constant"
        ),
        pytest.param(
            [scores().softmax(1)],
            LABELS,
            [(scores() + 1).softmax(1)],
            0,
            id="so may what a softmax made of them",
        ),
        pytest.param(
            [scores()],
            None,
            [scores() + scores().std()],
            1,
            id="without labels each output is learnt, in units of its spread",
        ),
        pytest.param(
            [scores(), 100 * scores()],
            LABELS,
            [scores() + scores().std(), 100 * (scores() + scores().std())],
            2,
            id="several outputs count the same",
        ),
        pytest.param(
            [scores(), LABELS],
            None,
            [scores() + scores().std(), LABELS],
            1,
            id="class numbers are not learnt",
        ),
    ],
)
def test_what_the_loss_counts(
    taught: list[Tensor], labels: Tensor | None, wrong: list[Tensor], expected: float
) -> None:
    whole = Lesson([scores()], taught, labels)
    loss = loss_for(whole)

    added = float(loss(wrong, whole)) - float(loss(taught, whole))

    assert expected == pytest.approx(added, abs=1e-4)


def test_a_network_of_class_numbers_only_teaches_nothing() -> None:
    with pytest.raises(OptimisationError, match="no output of the source is a floating-point"):
        loss_for(Lesson([scores()], [LABELS], None))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        pytest.param(
            lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), 0.01, id="normalized"
        ),
        pytest.param(lambda: nn.Linear(4, 4), 0.001, id="not"),
    ],
)
def test_the_peak_of_the_learning_rate(network: Callable[[], nn.Module], expected: float) -> None:
    whole = Lesson([scores(1000)], [scores(1000)], None)
    layers = trainable(exported(network(), [scores(2)]), [scores(2)])
    training = Training(layers, whole, epochs=4)

    training.advance(0.25)

    assert expected == pytest.approx(training._optimizer.param_groups[0]["lr"], rel=0.01)
