"""The data set that the build judges on: `python -m examples.fashion_mnist.dataset OUT.npz`.

The 60,000 training pictures, marked as such (the network was trained on them, so they may train and
calibrate smaller versions but not judge them), and the first 5,000 of the test pictures, on which
the build selects and judges. The other 5,000 stay unseen by any build: `unseen` is for those who
want to know how honest it was.
"""

import argparse
from pathlib import Path

import numpy as np

from examples.fashion_mnist import data

JUDGED = 5_000


def write_dataset(path: Path) -> None:
    """Write the .npz file.

    Raises:
        data.DataUnavailableError: the images are not to be had.
    """
    train, test = data.load("train"), data.load("t10k")
    np.savez(
        path,
        image=np.concatenate([train.images, test.images[:JUDGED]]),
        labels=np.concatenate([train.labels, test.labels[:JUDGED]]).astype(np.int64),
        trained_on=np.arange(len(train.labels) + JUDGED) < len(train.labels),
    )


def unseen() -> data.Split:
    """The test pictures that are not in the data set."""
    test = data.load("t10k")
    return data.Split(test.images[JUDGED:], test.labels[JUDGED:])


def main() -> None:
    """Write it and print its digest, which the agent names."""
    parser = argparse.ArgumentParser(prog="python -m examples.fashion_mnist.dataset")
    parser.add_argument("out", type=Path, help="where to write it, such as fashion-mnist.npz")
    out: Path = parser.parse_args().out
    write_dataset(out)
    print(f"{data.digest_of(out)}  {out}")


if __name__ == "__main__":
    main()
