from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.modules import (
    batch_is_free,
    inputs,
    outputs,
    outputs_of,
    program_of,
    trainable,
)
from tests.unit.build.optimisations.networks import (
    ConcatenatingNetwork,
    DepthwiseNetwork,
    ResidualNetwork,
    TiedWeights,
    Transformer,
    TwiceTheSame,
    exported,
    multilayer_perceptron,
    pictures,
    plain_cnn,
    words,
)

NETWORKS: list[tuple[Callable[[], nn.Module], list[Tensor], int]] = [
    (plain_cnn, pictures(), 4),
    (ResidualNetwork, pictures(), 7),
    (DepthwiseNetwork, pictures(), 4),
    (ConcatenatingNetwork, pictures(), 4),
    (multilayer_perceptron, pictures(), 3),
    (Transformer, words(), 5),
    (TwiceTheSame, pictures(), 3),
    (TiedWeights, pictures(), 4),
]


@pytest.mark.parametrize(("make", "examples", "layers"), NETWORKS)
def test_a_program_in_layers_answers_what_the_program_answers_before_and_after_export(
    make: Callable[[], nn.Module], examples: Sequence[Tensor], layers: int
) -> None:
    torch.manual_seed(3)
    program = exported(make(), examples)
    expected = outputs_of(program.module(), examples)

    network = trainable(program, examples)
    again = program_of(network, program, examples)

    kinds = (nn.Conv2d, nn.Linear)
    assert layers == sum(isinstance(module, kinds) for module in network.modules())
    assert inputs(program) == inputs(again)
    assert outputs(program) == outputs(again)
    assert program.graph_signature.user_inputs == again.graph_signature.user_inputs
    for count in (1, 4):
        found = outputs_of(again.module(), [values[:count] for values in examples])
        torch.testing.assert_close(found[0], expected[0][:count])


def test_training_reaches_every_weight_and_the_statistics_of_batch_norm() -> None:
    program = exported(plain_cnn(), pictures())
    network = trainable(program, pictures())
    before = {name: value.clone() for name, value in network.state_dict().items()}

    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(*pictures()).square().sum().backward()
    optimizer.step()

    after = network.state_dict()
    assert [] == [name for name, value in after.items() if torch.equal(before[name], value)]


def test_dropout_drops_while_training_only() -> None:
    network = trainable(exported(plain_cnn(), pictures()), pictures())
    dropout = [module for module in network.modules() if isinstance(module, nn.Dropout)]

    assert [0.3] == [module.p for module in dropout]
    assert not dropout[0].training


def test_a_layer_that_is_called_twice_is_one_layer() -> None:
    network = trainable(exported(TwiceTheSame(), pictures()), pictures())

    assert 2 * 32 + 5 + 768 * 32 + 32 * 32 + 32 * 5 == sum(p.numel() for p in network.parameters())


def test_weights_that_two_layers_share_stay_shared() -> None:
    network = trainable(exported(TiedWeights(), pictures()), pictures())
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Linear)]

    assert weights[1] is weights[2]


def test_weights_that_were_frozen_into_constants_learn() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randn(5, 768))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x.flatten(1), self.get_buffer("weight"))

    network = trainable(exported(Frozen(), pictures()), pictures())

    assert [(5, 768)] == [tuple(p.shape) for p in network.parameters() if p.requires_grad]


def test_a_program_in_training_mode_is_refused() -> None:
    examples = pictures()
    program = torch.export.export(plain_cnn().train(), tuple(examples))

    with pytest.raises(OptimisationError, match=r"training mode; call eval\(\) before"):
        trainable(program, examples)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        pytest.param(True, True, id="a free batch axis"),
        pytest.param(False, False, id="a batch of exactly four"),
    ],
)
def test_whether_the_batch_is_free(free: bool, expected: bool) -> None:
    assert expected == batch_is_free(exported(plain_cnn(), pictures(), free_batch=free))


def test_inputs_whose_first_axes_are_free_apart_are_no_batch() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x.sum() * y

    dim = torch.export.Dim
    program = torch.export.export(
        Two(),
        (torch.randn(4, 2), torch.randn(3, 2)),
        dynamic_shapes=({0: dim("a")}, {0: dim("b")}),
    )

    assert not batch_is_free(program)
