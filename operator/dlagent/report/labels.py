"""Places the labels of a picture so that none covers another, a marker, or the edge.

Greedy: the most important label first, each at the nearest free place around its point; a label
without a free place is left out. Called by dlagent.report.picture.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DISTANCES = (9, 16, 26, 38, 54, 74, 98, 130, 170)  # pixels from a marker's centre to its label
_DIRECTIONS = 16
_FAR = 16  # from here on a line leads from the label to its point

Line = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.bottom <= y <= self.top

    def is_met(self, line: "Line") -> bool:
        """Whether a straight line from one point to another touches it."""
        (x0, y0), (x1, y1) = line
        enter, leave = 0.0, 1.0
        for start, length, low, high in (
            (x0, x1 - x0, self.left, self.right),
            (y0, y1 - y0, self.bottom, self.top),
        ):
            if length == 0:
                if not low <= start <= high:
                    return False
                continue
            near, far = sorted(((low - start) / length, (high - start) / length))
            enter, leave = max(enter, near), min(leave, far)
        return enter <= leave

    def inside(self, other: "Box") -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.bottom <= self.bottom
            and self.top <= other.top
        )


@dataclass(frozen=True)
class Label:
    """A text of that size beside that point, all in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """Where a label goes, and whether it is so far from its point that a line must lead there."""

    box: Box
    far: bool

    def lead(self, label: Label) -> Line:
        """From the nearest of its edge to the label's point."""
        x = min(max(label.x, self.box.left), self.box.right)
        y = min(max(label.y, self.box.bottom), self.box.top)
        return (x, y), (label.x, label.y)


def place(
    labels: Sequence[Label], room: Box, taken: Sequence[Box], scale: float = 1.0
) -> list[Place | None]:
    """The place of each label, in the order given; None where there is none left.

    Args:
        labels: the most important first.
        room: what all labels must be inside of.
        taken: what no label may cover, such as markers.
        scale: pixels for a 1/72 inch, for the distances.
    """
    occupied = list(taken)
    places: list[Place | None] = []
    for label in labels:
        found = _nearest(label, room, occupied, scale)
        places.append(found)
        if found is not None:
            occupied.append(found.box)
    return places


def _nearest(label: Label, room: Box, occupied: Sequence[Box], scale: float) -> Place | None:
    """The nearest free place; rather one whose line to the point crosses nothing."""
    free = [
        spot
        for spot in _spots(label, scale)
        if spot.box.inside(room) and not any(spot.box.overlaps(box) for box in occupied)
    ]
    clear = (spot for spot in free if not _crosses(spot, label, occupied))
    return next(clear, free[0] if free else None)


def _crosses(spot: Place, label: Label, occupied: Sequence[Box]) -> bool:
    if not spot.far:
        return False
    lead = spot.lead(label)
    return any(box.is_met(lead) for box in occupied if not box.holds(label.x, label.y))


def _spots(label: Label, scale: float) -> Iterator[Place]:
    """Places around the point, near ones first, and right of it before left."""
    for distance in _DISTANCES:
        for step in range(_DIRECTIONS):
            # 0, then turned by ever more to both sides: right, a little up, a little down, ...
            angle = math.pi * 2 / _DIRECTIONS * ((step + 1) // 2) * (1 if step % 2 else -1)
            dx, dy = math.cos(angle), math.sin(angle)
            x = label.x + dx * (distance * scale + label.width / 2) - label.width / 2
            y = label.y + dy * (distance * scale + label.height / 2) - label.height / 2
            yield Place(Box(x, y, x + label.width, y + label.height), distance >= _FAR)
