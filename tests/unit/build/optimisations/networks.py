"""Small networks with every kind of layer that is taken apart, and their ExportedPrograms."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

PICTURE = (3, 16, 16)


def convolution(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def plain_cnn(width: int = 32) -> nn.Module:
    return nn.Sequential(
        convolution(3, width),
        nn.MaxPool2d(4),
        convolution(width, 2 * width),
        nn.Flatten(),
        nn.Linear(2 * width * 16, 32),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Linear(32, 5),
    )


class ResidualNetwork(nn.Module):
    """Two blocks with skips: one as it is, one that halves the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 32)
        self.first = nn.Sequential(convolution(32, 32), nn.Conv2d(32, 32, 3, padding=1))
        self.second = nn.Sequential(convolution(32, 64, stride=2), nn.Conv2d(64, 64, 3, padding=1))
        self.shorter = nn.Conv2d(32, 64, 1, stride=2)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.first(x)
        y += x
        y = torch.relu(self.second(torch.relu_(y)) + self.shorter(y))
        scores: Tensor = self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 1), 1))
        return scores


class DepthwiseNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 48, 1)
        self.depthwise = nn.Conv2d(48, 48, 3, padding="same", groups=48)
        self.norm = nn.BatchNorm2d(48)
        self.narrow = nn.Conv2d(48, 32, 1)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu6(self.norm(self.depthwise(nn.functional.relu6(self.wide(x)))))
        scores: Tensor = self.head(self.narrow(x).mean([2, 3]))
        return scores


class ConcatenatingNetwork(nn.Module):
    """Two branches side by side, and the view that much of torch's code flattens with."""

    def __init__(self) -> None:
        super().__init__()
        self.left = convolution(3, 32)
        self.right = nn.Sequential(nn.Conv2d(3, 48, 5, padding=2), nn.GroupNorm(4, 48))
        self.joined = convolution(80, 32, stride=4)
        self.head = nn.Linear(32 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.joined(torch.cat([self.left(x), self.right(x)], 1))
        scores: Tensor = self.head(x.view(x.size(0), -1))
        return scores


def multilayer_perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(768, 64), nn.GELU(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 5)
    )


class Transformer(nn.Module):
    """One block of self-attention over words, with learnt positions; a mean over them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 32)
        self.positions = nn.Parameter(torch.randn(1, 6, 32) / 10)
        self.norm = nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.wide = nn.Linear(32, 128)
        self.narrow = nn.Linear(128, 32)
        self.head = nn.Linear(32, 5)

    def forward(self, words: Tensor) -> Tensor:
        x = self.words(words) + self.positions
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.narrow(nn.functional.gelu(self.wide(x)))
        scores: Tensor = self.head(x.mean(1))
        return scores


class TwiceTheSame(nn.Module):
    """One layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(768, 32)
        self.again = nn.Linear(32, 32)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x.flatten(1)))
        scores: Tensor = self.head(self.again(torch.relu(self.again(x))))
        return scores


class TiedWeights(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(768, 32)
        self.left, self.right = nn.Linear(32, 32), nn.Linear(32, 32)
        self.right.weight = self.left.weight
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.right(torch.relu(self.left(self.first(x.flatten(1))))))
        return scores


def pictures(count: int = 4) -> list[Tensor]:
    return [torch.randn(count, *PICTURE, generator=torch.Generator().manual_seed(1))]


def words(count: int = 4) -> list[Tensor]:
    return [torch.randint(0, 100, (count, 6), generator=torch.Generator().manual_seed(1))]


def exported(
    network: nn.Module, examples: Sequence[Tensor], *, free_batch: bool = True
) -> ExportedProgram:
    """With statistics of batch norm as training leaves them, neither 0 nor 1."""
    seeded = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(generator=seeded)
            module.running_var.uniform_(0.5, 2.0, generator=seeded)
    batch = {0: Dim("batch", min=1, max=1024)} if free_batch else {}
    return torch.export.export(
        network.eval(), tuple(examples), dynamic_shapes=tuple(batch for _ in examples)
    )
