"""A smaller network for `spec.build.distill.student`.

`python -m examples.fashion_mnist.student student.pt2` writes it, untrained: the build teaches it
what the large one knows, and needs no other weights to begin with.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from examples.fashion_mnist.data import digest_of

SEED = 7


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class Student(nn.Module):
    """Logits [n, 10] of images [n, 1, 28, 28]: a tenth of the multiplications of network.py.

    Channels are multiples of 16, which ONNX Runtime computes at a time with AVX-512.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1, 16), _convolution(16, 32), _convolution(32, 64)
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * 3 * 3, 64), nn.ReLU(inplace=True), nn.Linear(64, 10)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of normalized images."""
        logits: Tensor = self.head(self.features(image))
        return logits


def write(path: Path) -> None:
    """Fresh weights, the same ones each time, with a free batch axis."""
    torch.manual_seed(SEED)
    program = torch.export.export(
        Student().eval(),
        (torch.zeros(2, 1, 28, 28),),
        dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=1024)}},
    )
    torch.export.save(program, path)


def main() -> None:
    """Write the file, and its SHA-256 for the spec."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.fashion_mnist.student",
        description="Write the untrained student of the Fashion-MNIST classifier as .pt2.",
    )
    parser.add_argument("path", type=Path, help="ends with .pt2")
    path = parser.parse_args().path
    write(path)
    print(f"{digest_of(path)}  {path}")


if __name__ == "__main__":
    main()
