"""Stands in for trtexec where no GPU is: as far as it can be, it is the real thing.

TensorRT-RTX's parser and builder, which need no GPU, make an engine of the graph, for the shapes
and with the typing that were asked for; what they refuse is told as trtexec tells it. An engine
cannot be run without a GPU, so what is written as one is the graph, which backend.py runs.
"""

import argparse
import sys
from pathlib import Path

import onnx

from tests.unit.build.optimisations.tensorrt_rtx import Shapes, refusal


def main() -> int:
    asked = _arguments()
    shapes = [_shapes(getattr(asked, name)) for name in ("minShapes", "optShapes", "maxShapes")]
    refused = refusal(onnx.load(asked.onnx), shapes)
    if refused is not None:
        print(f"[01/02/2026-03:04:05] [E] [TRT] {refused}")
        return 1
    asked.saveEngine.write_bytes(asked.onnx.read_bytes())
    print("&&&& PASSED")
    return 0


def _arguments() -> argparse.Namespace:
    """What is not known here is no argument of trtexec that anybody has thought about."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--saveEngine", type=Path, required=True)
    parser.add_argument("--timingCacheFile", type=Path)
    parser.add_argument("--noTF32", action="store_true", required=True)
    parser.add_argument("--stronglyTyped", action="store_true", required=True)
    parser.add_argument("--skipInference", action="store_true", required=True)
    for name in ("min", "opt", "max"):
        parser.add_argument(f"--{name}Shapes", default="")
    return parser.parse_args()


def _shapes(text: str) -> Shapes:
    """Of x:1x3x8,y:1x4."""
    named = (part.rpartition(":") for part in text.split(",") if part)
    return {name: [int(size) for size in sizes.split("x")] for name, _, sizes in named}


if __name__ == "__main__":
    sys.exit(main())
