"""The parts of a data set, each used for one thing only."""

from enum import StrEnum


class Part(StrEnum):
    TRAIN = "train"
    CALIBRATE = "calibrate"
    SELECT = "select"
    GATE = "gate"
