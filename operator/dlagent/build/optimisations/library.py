"""A frame around the calls of onnxruntime's tools: quiet, and with one kind of error."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnxruntime  # type: ignore[import-untyped]  # ships no types

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.runtime import first_line

_ERRORS_ONLY = 3


@contextlib.contextmanager
def library(name: str) -> Iterator[None]:
    """Within it, onnxruntime's tools print and log nothing: stdout is for the build's progress.

    Raises:
        OptimisationError: for whatever the tools raise; they have no exceptions of their own.
    """
    disabled = logging.root.manager.disable
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OptimisationError, MemoryError):
        raise
    except Exception as error:  # as above
        raise OptimisationError(f"{name} refuses the network: {first_line(error)}") from error
    finally:
        logging.disable(disabled)
