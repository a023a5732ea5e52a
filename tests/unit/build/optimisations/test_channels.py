from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.channels import CHANNELS_MULTIPLE, kept_channels, prune
from dlagent.build.optimisations.modules import outputs_of, program_of, trainable
from tests.unit.build.optimisations.networks import (
    ConcatenatingNetwork,
    DepthwiseNetwork,
    ResidualNetwork,
    TiedWeights,
    Transformer,
    exported,
    multilayer_perceptron,
    pictures,
    plain_cnn,
    words,
)


@pytest.mark.parametrize(
    ("channels", "percent", "expected"),
    [
        pytest.param(64, 50, 32, id="a multiple is met"),
        pytest.param(48, 50, 32, id="of two as near the larger stays"),
        pytest.param(96, 75, 32, id="the nearer multiple is above"),
        pytest.param(80, 50, 48, id="and above again"),
        pytest.param(72, 50, 32, id="the nearer multiple is below"),
        pytest.param(24, 75, 16, id="one block stays"),
        pytest.param(24, 0, 24, id="more than there are is not kept"),
        pytest.param(10, 75, 10, id="less than a block is left alone"),
    ],
)
def test_kept_channels(channels: int, percent: int, expected: int) -> None:
    assert expected == kept_channels(channels, percent)


@given(channels=st.integers(1, 4096), percent=st.integers(1, 90))
def test_what_is_kept_is_near_what_was_asked_for(channels: int, percent: int) -> None:
    kept = kept_channels(channels, percent)
    wanted = channels * (100 - percent) / 100

    assert min(channels, CHANNELS_MULTIPLE) <= kept <= channels
    assert kept == channels or kept % CHANNELS_MULTIPLE == 0
    assert abs(kept - wanted) <= CHANNELS_MULTIPLE / 2 or kept == CHANNELS_MULTIPLE >= wanted


def widths(network: nn.Module) -> list[int]:
    """Output channels of each convolution and linear layer, in order."""
    return [m.weight.shape[0] for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


@pytest.mark.parametrize(
    ("make", "examples", "expected"),
    [
        pytest.param(plain_cnn, pictures(), [16, 32, 16, 5], id="a plain network"),
        pytest.param(
            ResidualNetwork,
            pictures(),
            [16, 16, 16, 32, 32, 32, 5],
            id="layers that are added up lose the same channels",
        ),
        pytest.param(
            DepthwiseNetwork,
            pictures(),
            [32, 32, 16, 5],
            id="a depthwise layer follows the one before",
        ),
        pytest.param(
            ConcatenatingNetwork,
            pictures(),
            [16, 32, 16, 5],
            id="what reads a concatenation loses the channels of both",
        ),
        pytest.param(multilayer_perceptron, pictures(), [32, 32, 5], id="hidden layers"),
        pytest.param(
            Transformer,
            words(),
            [96, 32, 64, 32, 5],
            id="heads and what is added to them stay, the feed-forward layer shrinks",
        ),
    ],
)
def test_half_the_channels_go(
    make: Callable[[], nn.Module], examples: list[Tensor], expected: list[int]
) -> None:
    torch.manual_seed(3)
    program = exported(make(), examples)
    network = trainable(program, examples)

    prune(network, examples, 50)

    assert expected == widths(network)
    again = program_of(network, program, examples)
    one = [values[:1] for values in examples]
    torch.testing.assert_close(
        outputs_of(again.module(), one)[0], outputs_of(network, examples)[0][:1]
    )


def test_the_channels_with_the_smallest_weights_go() -> None:
    first, last = nn.Linear(768, 32), nn.Linear(32, 5)
    with torch.no_grad():
        first.weight[::2] *= 0.001
        last.weight[:, ::2] *= 0.001
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(), last)
    layers = trainable(exported(network, pictures()), pictures())
    before = outputs_of(layers, pictures())[0]

    prune(layers, pictures(), 50)

    assert [16, 5] == widths(layers)
    torch.testing.assert_close(outputs_of(layers, pictures())[0], before, atol=0.01, rtol=0.01)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(TiedWeights, "two layers share a weight", id="shared weights"),
        pytest.param(
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 64)),
            "no layer has channels to spare",
            id="all channels are outputs",
        ),
        pytest.param(
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 16), nn.Linear(16, 5)),
            "no layer has channels to spare",
            id="a block of channels is the least",
        ),
        pytest.param(
            lambda: nn.Sequential(
                nn.Conv2d(3, 32, 1), nn.PixelShuffle(4), nn.Flatten(), nn.Linear(8192, 5)
            ),
            "no layer has channels to spare",
            id="a call that counts on the number of channels",
        ),
    ],
)
def test_what_cannot_be_pruned_is_refused(make: Callable[[], nn.Module], message: str) -> None:
    network = trainable(exported(make(), pictures()), pictures())

    with pytest.raises(OptimisationError, match=message):
        prune(network, pictures(), 50)


def test_a_constant_with_a_value_for_each_channel_holds_them() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(768, 64), nn.Linear(64, 5)
            self.register_buffer("scale", torch.rand(64))

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.head(self.first(x.flatten(1)) * self.get_buffer("scale"))
            return scores

    network = trainable(exported(Scaled(), pictures()), pictures())

    with pytest.raises(OptimisationError, match="no layer has channels to spare"):
        prune(network, pictures(), 50)
