"""Write a test image as PNG: `python -m examples.fashion_mnist.picture 7 > picture.png`."""

import argparse
import sys

from PIL import Image

from examples.fashion_mnist import data


def main() -> None:
    """Print the PNG to stdout, and to stderr what it shows."""
    parser = argparse.ArgumentParser(prog="python -m examples.fashion_mnist.picture")
    parser.add_argument("index", type=int, help="0 to 9999")
    index = parser.parse_args().index
    if sys.stdout.isatty():
        parser.error("redirect the output into a file: ... > picture.png")
    test = data.load("t10k")
    if not 0 <= index < len(test.labels):
        parser.error(f"index {index} is not in 0..{len(test.labels) - 1}")
    Image.fromarray(test.images[index]).save(sys.stdout.buffer, format="PNG")
    label = int(test.labels[index])
    print(f"test image {index}: class {label}, {data.CLASSES[label]}", file=sys.stderr)


if __name__ == "__main__":
    main()
