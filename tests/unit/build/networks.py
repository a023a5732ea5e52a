"""Networks that tests of SafeTensors name as their factory."""

from typing import Any

import torch


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 5)
        )

    def forward(self, image: Any) -> Any:
        return self.layers(image)


class Tied(torch.nn.Module):
    """Two layers that share one weight, which safetensors keeps once."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4, bias=False)
        self.second = torch.nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: Any, y: Any) -> Any:
        return self.second(self.first(x) + y)


class OneExample(torch.nn.Module):
    """Works on a batch of one size only."""

    def forward(self, x: Any) -> Any:
        return x.reshape(8)


def broken() -> torch.nn.Module:
    raise ValueError("no such weights")


def no_network() -> int:
    return 3
