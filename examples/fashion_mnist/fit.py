"""The part of the training that needs torch: fit, classify, export. train.py calls it."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from examples.fashion_mnist.data import Bytes, Split
from examples.fashion_mnist.network import prepare

EVALUATION_BATCH = 500
ONNX_OPSET = 18
Advance = Callable[[float], None]  # called after each step with its loss


def fit(
    network: nn.Module,
    train: Split,
    *,
    epochs: int,
    batch: int,
    peak_learning_rate: float,
    weight_decay: float,
    label_smoothing: float,
    seed: int,
    advance: Advance,
) -> None:
    """Train in place: AdamW, one cycle of the learning rate, left-right flips."""
    network.to(memory_format=torch.channels_last)
    images = prepare(torch.from_numpy(train.images.copy()))
    labels = torch.from_numpy(train.labels.astype(np.int64))
    steps = len(labels) // batch
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=peak_learning_rate, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak_learning_rate, total_steps=epochs * steps, pct_start=0.25
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    random = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(labels), generator=random)
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            batch_images = images[chosen]
            mirrored = torch.rand(batch, 1, 1, 1, generator=random) < 0.5
            batch_images = torch.where(mirrored, batch_images.flip(-1), batch_images)
            loss = loss_of(
                network(batch_images.to(memory_format=torch.channels_last)),
                labels[chosen],
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            advance(loss.item())
    network.to(memory_format=torch.contiguous_format)
    network.eval()


def classify(network: nn.Module, images: Bytes) -> NDArray[np.int64]:
    """The class of each image [n, 28, 28]."""
    network.eval()
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), EVALUATION_BATCH):
            part = torch.from_numpy(images[first : first + EVALUATION_BATCH].copy())
            found.append(network(prepare(part)).argmax(1).numpy())
    classes: NDArray[np.int64] = np.concatenate(found)
    return classes


def export(network: nn.Module, exported_program: Path, onnx: Path) -> None:
    """Write both forms, each with a free batch axis, input "image", output "logits"."""
    example = (torch.zeros(2, 1, 28, 28),)
    shapes = {"image": {0: torch.export.Dim("batch", min=1, max=1024)}}
    program = torch.export.export(network, example, dynamic_shapes=shapes)
    torch.export.save(program, exported_program)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter deprecates its own internals
        torch.onnx.export(
            network,
            example,
            onnx,
            input_names=["image"],
            output_names=["logits"],
            opset_version=ONNX_OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
