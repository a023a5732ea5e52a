"""A network of ResNet-18's shape, trained on Fashion-MNIST: four stages of two basic blocks.

He et al., Deep residual learning for image recognition (CVPR 2016), table 1, with a first
convolution of 3x3 and no pooling for pictures of 28x28, and a quarter of the channels (16 to 128),
so that two cores train it in minutes.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.models.cache import cached_folder
from examples.fashion_mnist import data
from examples.fashion_mnist.fit import export, fit

WIDTHS = (16, 32, 64, 128)
BLOCKS = 2
EPOCHS = 3
SEED = 7


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.around = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.around(x))


class ResNet(nn.Module):
    """Logits [n, 10] of images [n, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before = WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for block in range(BLOCKS):
                stride = 2 if stage and not block else 1
                blocks.append(BasicBlock(before, width, stride))
                before = width
        self.first = nn.Sequential(
            nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(WIDTHS[-1], 10)

    def forward(self, image: Tensor) -> Tensor:
        features = self.blocks(self.first(image)).mean(dim=(2, 3))
        logits: Tensor = self.head(features)
        return logits


def trained_program() -> Path:
    """The trained network as an ExportedProgram."""
    folder = cached_folder("resnet-fashion-mnist", [Path(__file__)], _train)
    return folder / "resnet.pt2"


def _silent(loss: float) -> None:
    del loss


def _train(folder: Path) -> None:
    torch.manual_seed(SEED)
    network = ResNet()
    fit(
        network,
        data.load("train"),
        epochs=EPOCHS,
        batch=128,
        peak_learning_rate=0.01,
        weight_decay=0.01,
        label_smoothing=0.05,
        seed=SEED,
        advance=_silent,
    )
    export(network, folder / "resnet.pt2", folder / "resnet.onnx")
