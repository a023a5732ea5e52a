"""Distillation: a smaller network learns to answer what the source answers.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015, arXiv:1503.02531).
Used by all optimisations that train. Training goes epoch by epoch, and its state is kept between
estimates: a quarter of the epochs and then the rest give the same bytes as all of them at once.
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from dlagent.build.optimisations.base import OptimisationError, Workshop
from dlagent.build.optimisations.modules import flat, outputs_of
from dlagent.build.runtime import Array, first_line
from dlagent.domain.data.split import Part

# All constants were found on the example network and its 60,000 pictures; what was tried and what
# it gave is in docs/explanation/optimisations.md.
TEMPERATURE = 4.0
HARD_LABELS_SHARE = 0.1  # of the loss; the rest is the teacher's
BATCH = 256
SMALLEST_BATCH = 16  # batch norm's statistics are of no use below
STEPS_PER_EPOCH = 100  # small data sets take smaller batches, down to SMALLEST_BATCH, to have them
# Batch norm allows a high learning rate (Bjorck et al. 2018, arXiv:1806.02375); without it 0.001
# is AdamW's customary one.
PEAK_LEARNING_RATE_NORMALIZED = 0.01
PEAK_LEARNING_RATE = 0.001
WARM_UP_SHARE = 0.25
WEIGHT_DECAY = 0.01
HELD_OUT_SHARE = 0.05
# Of the epochs: while the learning rate is high, for about half of them, the loss may wander.
PATIENCE_SHARE = 0.5
# Sums depend on how they are split among threads, so that their number is fixed: results would
# differ between machines otherwise. Two threads on one core are slow, but give the same bytes.
THREADS = 2
SEED = 1503

Loss = Callable[[Sequence[Tensor], "Lesson"], Tensor]


@dataclass(frozen=True)
class Lesson:
    """What is learnt: inputs, the teacher's outputs for them, and class numbers where known."""

    inputs: list[Tensor]
    taught: list[Tensor]
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def take(self, chosen: Tensor) -> "Lesson":
        return Lesson(
            [_channels_last(values[chosen]) for values in self.inputs],
            [values[chosen] for values in self.taught],
            None if self.labels is None else self.labels[chosen],
        )


def lesson_of(workshop: Workshop) -> Lesson:
    """The training part of the data set with the source as teacher."""
    labels = workshop.labels(Part.TRAIN)
    return Lesson(
        tensors(list(workshop.inputs(Part.TRAIN).values())),
        tensors(workshop.teacher(Part.TRAIN)),
        None if labels is None else tensors([labels])[0],
    )


def tensors(arrays: Sequence[Array]) -> list[Tensor]:
    """The arrays' own memory as tensors; nothing here writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return [torch.from_numpy(array) for array in arrays]


class Training:
    """One network that learns a lesson. AdamW, one cycle of the learning rate over all epochs.

    The network's dropout is off: it is smaller than its teacher, and soft targets hold it back
    from overfitting already.
    """

    def __init__(self, network: fx.GraphModule, lesson: Lesson, epochs: int) -> None:
        order = torch.randperm(len(lesson), generator=torch.Generator().manual_seed(SEED))
        held_out = math.ceil(len(lesson) * HELD_OUT_SHARE)
        self._held_out, self._studied = order[:held_out], order[held_out:]
        self._batch = min(BATCH, max(SMALLEST_BATCH, len(self._studied) // STEPS_PER_EPOCH))
        self._lesson = lesson
        self._loss = loss_for(lesson)
        self._network = network.to(memory_format=torch.channels_last)
        self._epochs = epochs
        self._optimizer = torch.optim.AdamW(
            network.parameters(), weight_decay=WEIGHT_DECAY, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            _peak_learning_rate(network),
            total_steps=epochs * (len(self._studied) // self._batch),
            pct_start=WARM_UP_SHARE,
        )
        self._done = 0
        self._best_epoch = 0
        self._best_loss = math.inf
        self._best: dict[str, Tensor] = {}

    def advance(self, effort: float) -> fx.GraphModule:
        """Train up to this share of the epochs; the network as it was after the best of them.

        Best is the least loss on examples that are held out. Training stops early when none was
        better for PATIENCE_SHARE of the epochs.

        Raises:
            OptimisationError: the network cannot be trained, or its loss is no number.
        """
        wanted = max(math.ceil(round(effort * self._epochs, 6)), 1)
        patience = math.ceil(PATIENCE_SHARE * self._epochs)
        with _same_everywhere():
            while self._done < wanted and self._done - self._best_epoch < patience:
                try:
                    self._one_epoch()
                    loss = self._held_out_loss()
                except RuntimeError as error:  # torch's only kind
                    raise OptimisationError(
                        f"the network cannot be trained ({first_line(error)})"
                    ) from error
                self._keep_if_better(loss)
        if not self._best:
            raise OptimisationError("training diverged: its loss is not a number")
        trained = copy.deepcopy(self._network)
        trained.load_state_dict(self._best)
        return trained.to(memory_format=torch.contiguous_format).eval()

    def notes(self) -> dict[str, str]:
        """What the report tells of it."""
        return {"epochs": f"{self._done} of {self._epochs}, best after {self._best_epoch}"}

    def _one_epoch(self) -> None:
        random = torch.Generator().manual_seed(SEED + self._done)
        order = self._studied[torch.randperm(len(self._studied), generator=random)]
        self._network.train()
        for module in self._network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        for first in range(0, len(order) - self._batch + 1, self._batch):
            part = self._lesson.take(order[first : first + self._batch])
            loss = self._loss(flat(self._network(*part.inputs)), part)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
            self._optimizer.step()
            self._schedule.step()
        self._done += 1

    def _held_out_loss(self) -> float:
        self._network.eval()
        total = 0.0
        for chosen in torch.split(self._held_out, BATCH):
            part = self._lesson.take(chosen)
            total += float(self._loss(outputs_of(self._network, part.inputs), part)) * len(chosen)
        return total / len(self._held_out)

    def _keep_if_better(self, loss: float) -> None:
        if loss < self._best_loss:
            self._best_loss, self._best_epoch = loss, self._done
            self._best = {k: v.clone() for k, v in self._network.state_dict().items()}


def loss_for(lesson: Lesson) -> Loss:
    """The loss that fits: of classes where there are labels and one output of class scores.

    Raises:
        OptimisationError: no output is a floating-point number.
    """
    numbers = [place for place, values in enumerate(lesson.taught) if values.is_floating_point()]
    if not numbers:
        raise OptimisationError("no output of the source is a floating-point number to learn")
    scores = lesson.taught[numbers[0]]
    if lesson.labels is not None and len(lesson.taught) == 1 and scores.ndim == 2:
        return _loss_on_probabilities if _are_probabilities(scores) else classification_loss
    return _regression_loss(lesson, numbers)


def classification_loss(answers: Sequence[Tensor], lesson: Lesson) -> Tensor:
    """Softened answers against the teacher's, and the labels. Hinton et al. 2015, section 2.

    Both soft distributions are softmax(z / T) (eq. 1). Their cross-entropy is taken as the
    Kullback-Leibler divergence, which differs by a constant, times T^2, since the gradients of
    soft targets scale with 1 / T^2. `answers` and what is taught are logits [n, classes].
    """
    assert lesson.labels is not None  # noqa: S101 - loss_for saw them
    soft = functional.kl_div(
        functional.log_softmax(answers[0] / TEMPERATURE, dim=1),
        functional.log_softmax(lesson.taught[0] / TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(answers[0], lesson.labels)
    return (1 - HARD_LABELS_SHARE) * TEMPERATURE**2 * soft + HARD_LABELS_SHARE * hard


def _loss_on_probabilities(answers: Sequence[Tensor], lesson: Lesson) -> Tensor:
    """The same for networks that end in a softmax: the logarithms are logits up to a constant."""
    return classification_loss(
        [_logits(answers[0])], Lesson(lesson.inputs, [_logits(lesson.taught[0])], lesson.labels)
    )


def _logits(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _are_probabilities(values: Tensor) -> bool:
    return bool((values >= 0).all()) and bool((values.sum(dim=1) - 1).abs().max() < 1e-3)


def _regression_loss(lesson: Lesson, places: Sequence[int]) -> Loss:
    """Squared distance to the teacher's outputs, each in units of its variance.

    Ba, Caruana, "Do Deep Nets Really Need to be Deep?" (2014, arXiv:1312.6184, eq. 1).
    """
    smallest = torch.finfo(torch.float32).tiny
    variances = {place: float(lesson.taught[place].var()) + smallest for place in places}

    def loss(answers: Sequence[Tensor], part: Lesson) -> Tensor:
        return torch.stack(
            [
                functional.mse_loss(answers[place], part.taught[place]) / variances[place]
                for place in places
            ]
        ).sum()

    return loss


def _peak_learning_rate(network: nn.Module) -> float:
    normalized = any(isinstance(module, _BatchNorm) for module in network.modules())
    return PEAK_LEARNING_RATE_NORMALIZED if normalized else PEAK_LEARNING_RATE


@contextmanager
def _same_everywhere() -> Iterator[None]:
    """Arithmetic that is the same in each run and on each number of cores; then as it was."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def _channels_last(values: Tensor) -> Tensor:
    """Pictures in the layout that convolutions are fastest in."""
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values
