"""Where the rows and columns of a picture are. For the steps that work on pictures."""

from dlagent.api.types import Layout, Tensor
from dlagent.build.steps.base import mismatch

# The axes that bring a picture of layout HWC to CHW, and back; without the batch axis.
TO_CHW = [2, 0, 1]
TO_HWC = [1, 2, 0]


def rows_axis(layout: Layout) -> int:
    """The axis of the rows, without the batch axis; that of the columns follows it."""
    return 1 if layout == Layout.CHW else 0


def require_picture(step: str, given: Tensor, layout: Layout) -> None:
    """Raises BuildError: ShapeMismatch."""
    if len(given.shape) != 3:
        raise mismatch(
            step,
            given,
            f"a picture has the three axes {layout}; add a reshape step before it, such as to"
            " [1, 28, 28] with layout CHW",
        )


def with_size(given: Tensor, layout: Layout, height: int, width: int) -> Tensor:
    """The picture's tensor with another height and width."""
    shape = list(given.shape)
    rows = rows_axis(layout)
    shape[rows : rows + 2] = [height, width]
    return given.model_copy(update={"shape": shape})
