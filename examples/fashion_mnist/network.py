"""The network: 5 convolutions, 3 poolings, 2 fully connected layers.

It takes images that are already scaled and normalized: that is the agent's `perceive`, and
`prepare` below does the same in PyTorch, so that training and serving see equal tensors.
"""

import torch
from torch import Tensor, nn

MEAN, STD = 0.286, 0.353  # of the training images, on a scale of 0..1


def prepare(images: Tensor) -> Tensor:
    """Grey values 0..255 [n, 28, 28] to the network's input [n, 1, 28, 28]."""
    return ((images.float() / 255 - MEAN) / STD).unsqueeze(1)


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class Classifier(nn.Module):
    """Logits [n, 10] of images [n, 1, 28, 28]."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, width),
            nn.MaxPool2d(2),
            _convolution(width, 2 * width),
            _convolution(2 * width, 2 * width),
            nn.MaxPool2d(2),
            _convolution(2 * width, 4 * width),
            _convolution(4 * width, 4 * width),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4 * width * 3 * 3, 128),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(128, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of normalized images."""
        logits: Tensor = self.head(self.features(image))
        return logits


def build(width: int, dropout: float, seed: int) -> Classifier:
    """A fresh network whose weights depend on the seed alone."""
    torch.manual_seed(seed)
    return Classifier(width, dropout)
