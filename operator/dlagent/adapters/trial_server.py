"""The Triton beside a build, on which the build measures; it is asked by gRPC over a Unix socket.

The two share a folder: the build puts a model there, Triton loads it on demand and listens on a
socket there. So nothing listens on any network, and a build pod needs none. dlagent.build.measure
uses it; dlagent.manifests.trial_server starts such a Triton in the build's pod.
"""

import queue
import shutil
import statistics
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray
from tritonclient.grpc import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
)
from tritonclient.utils import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerException,
    np_to_triton_dtype,
)

from dlagent.domain.artifact.layout import MEMBERS, MODEL
from dlagent.domain.tuning.server import socket_address

_POLL_SECONDS = 0.1
_WINDOW_SECONDS = 0.06
_FEWEST_WINDOWS = 2
_MOST_WINDOWS = 5
_ENOUGH_SECONDS = 0.3
_ANSWER_SECONDS = 120.0  # for the slowest batch that anybody would serve
_LOAD_SECONDS = 120.0
_ASK_SECONDS = 10.0
_COUNTED_SECONDS = 10.0
_COUNT_POLL_SECONDS = 0.001

Feed = Mapping[str, NDArray[Any]]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Answer:
    """What a sender was told: an error, or None for its tensors, which nobody wants."""

    sender: int
    error: InferenceServerException | None = None


Answers = queue.SimpleQueue[_Answer]


class TrialServerError(Exception):
    """Triton is not there, or refuses; the message says which."""


class TrialServer:
    """The server that shares `folder`. Use it in a `with` block: models are unloaded at the end.

    Raises:
        TrialServerError: of every method; what was measured before is as good as ever.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = InferenceServerClient(socket_address(folder))
        self._counting: dict[str, list[str]] = {}  # by the model: those that count for it
        self.version = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for name in list(self._counting):
                self.unload(name)
        finally:
            self._client.close()

    def wait(self, seconds: float) -> None:
        """Until it answers; `version` is known from then on."""
        deadline = time.monotonic() + seconds
        while not self._is_live():
            if time.monotonic() > deadline:
                raise TrialServerError(f"it did not answer within {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def load(self, model: str, files: Mapping[str, bytes]) -> None:
        """Serve a model, in place of the one of this name: its files by their path in an artifact.

        Members of an ensemble have the names of their folders: one ensemble at a time.
        """
        try:
            self._write(model, files)
        except OSError as error:
            raise TrialServerError(f"the shared folder: {error}") from error
        members = [name for name in MEMBERS if f"{name}/config.pbtxt" in files]
        try:
            # A member that changed is loaded first, and the ensemble with it.
            for name in (*members, model):
                self._client.load_model(name, client_timeout=_LOAD_SECONDS)
        except InferenceServerException as error:
            self.unload(model)
            raise _refused(error) from error
        self._counting[model] = members or [model]

    def _write(self, model: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            inside = path.startswith(MODEL)
            file = self._folder / (f"{model}/{path.removeprefix(MODEL)}" if inside else path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def unload(self, model: str) -> None:
        """Serve it no longer; what Triton does not do now ends with its pod."""
        self._counting.pop(model, None)
        with suppress(InferenceServerException):
            self._client.unload_model(model, unload_dependents=True)
        shutil.rmtree(self._folder / model, ignore_errors=True)

    def has(self, model: str) -> bool:
        """Whether it was loaded."""
        return model in self._counting

    def has_all(self) -> bool:
        """Whether it answers, and serves all that was loaded: one that began anew does not."""
        try:
            return bool(self._client.is_server_live(client_timeout=_ASK_SECONDS)) and all(
                self._client.is_model_ready(name, client_timeout=_ASK_SECONDS)
                for name in self._counting
            )
        except InferenceServerException:
            return False

    def infer(self, model: str, feed: Feed, seconds: float = _ANSWER_SECONDS) -> Arrays:
        """All outputs by name."""
        inputs = [_input(name, value) for name, value in feed.items()]
        try:
            answer = self._client.infer(model, inputs, client_timeout=seconds)
        except InferenceServerException as error:
            raise _refused(error) from error
        return {
            output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs
        }

    def mean_milliseconds(self, model: str, feed: Feed, batch: int, requests: int) -> float:
        """How long Triton works at a batch, while it is asked so often, once after the other."""
        before = self._spent(model, batch)
        for _ in range(requests):
            self.infer(model, feed)
        deadline = time.monotonic() + _COUNTED_SECONDS
        while True:  # it counts a batch some time after it has answered
            spans = _since(before, self._spent(model, batch))
            if all(span.batches >= requests for span in spans):
                return sum(span.milliseconds for span in spans)
            if time.monotonic() > deadline:
                raise TrialServerError(f"it tells no times of batches of {batch}")
            time.sleep(_COUNT_POLL_SECONDS)

    def milliseconds(self, model: str, feed: Feed, batch: int, instances: int) -> float:
        """How long Triton works at one batch while all instances do; the median of windows.

        So many senders each send a batch as one request, the next when it is answered. Triton
        counts the time of its batches itself, without what they wait and travel; of an ensemble it
        is the sum over its members. A window begins and ends while all are at work, as in
        perf_analyzer.

        Args:
            model: the name that it was loaded by.
            feed: the inputs of one batch.
            batch: the rows of it; 1 for a model without a batch axis.
            instances: how many the model was loaded with.
        """
        inputs = [_input(name, value) for name, value in feed.items()]
        answers: Answers = queue.SimpleQueue()
        stop = threading.Event()
        with ThreadPoolExecutor(instances) as pool:
            for sender in range(instances):
                pool.submit(self._send, model, sender, inputs, answers, stop)
            try:
                return self._watch(model, answers, batch, instances)
            finally:
                stop.set()

    def _is_live(self) -> bool:
        try:
            # Not `is_server_ready`, which a model that could not be loaded makes false for good.
            live = bool(self._client.is_server_live())
            self.version = self._client.get_server_metadata().version
        except InferenceServerException:
            return False
        return live

    def _send(
        self,
        model: str,
        sender: int,
        inputs: list[InferInput],
        answers: Answers,
        stop: threading.Event,
    ) -> None:
        while not stop.is_set():
            try:
                self._client.infer(model, inputs, client_timeout=_ANSWER_SECONDS)
            except InferenceServerException as error:
                answers.put(_Answer(sender, error))
                return
            answers.put(_Answer(sender))

    def _watch(self, model: str, answers: Answers, batch: int, instances: int) -> float:
        # The first requests are slower; and until all are at work, those of one are faster.
        _take_of_each(answers, instances)
        began = time.monotonic()
        before = self._spent(model, batch)
        windows: list[float] = []
        while not _is_enough(windows, time.monotonic() - began):
            end = time.monotonic() + _WINDOW_SECONDS
            _take_of_each(answers, instances)
            while time.monotonic() < end:
                _take(answers)
            after = self._spent(model, batch)
            spans = _since(before, after)
            if all(span.batches > 0 for span in spans):
                windows.append(sum(span.milliseconds for span in spans))
                before = after
            elif time.monotonic() - began > _ANSWER_SECONDS:
                raise TrialServerError(f"it tells no times of batches of {batch}")
        return statistics.median(windows)

    def _spent(self, model: str, batch: int) -> "list[_Spent]":
        """What each model that counts has done at batches of this size."""
        return [self._spent_by(name, batch) for name in self._counting[model]]

    def _spent_by(self, name: str, batch: int) -> "_Spent":
        try:
            answer = self._client.get_inference_statistics(name)
        except InferenceServerException as error:
            raise _refused(error) from error
        for entry in answer.model_stats[0].batch_stats:
            if entry.batch_size == batch:
                parts = (entry.compute_input, entry.compute_infer, entry.compute_output)
                return _Spent(entry.compute_infer.count, sum(part.ns for part in parts))
        return _Spent(0, 0)


@dataclass(frozen=True)
class _Spent:
    """How many batches there were, and the nanoseconds worked at them."""

    batches: int
    nanoseconds: int

    def since(self, before: "_Spent") -> "_Spent":
        return _Spent(self.batches - before.batches, self.nanoseconds - before.nanoseconds)

    @property
    def milliseconds(self) -> float:
        """Of one batch."""
        return self.nanoseconds / self.batches / 1e6


def _since(before: list[_Spent], after: list[_Spent]) -> list[_Spent]:
    return [later.since(earlier) for later, earlier in zip(after, before, strict=True)]


def _is_enough(windows: list[float], seconds: float) -> bool:
    if len(windows) < _FEWEST_WINDOWS:
        return False
    return len(windows) >= _MOST_WINDOWS or seconds > _ENOUGH_SECONDS


def _take_of_each(answers: Answers, senders: int) -> None:
    waiting = set(range(senders))
    while waiting:
        waiting.discard(_take(answers).sender)


def _take(answers: Answers) -> _Answer:
    try:
        answer = answers.get(timeout=_ANSWER_SECONDS)
    except queue.Empty:
        raise TrialServerError(f"no answer within {_ANSWER_SECONDS:.0f} s") from None
    if answer.error is not None:
        raise _refused(answer.error)
    return answer


def _refused(error: InferenceServerException) -> TrialServerError:
    # Of a model that is refused it ends with a semicolon and the end of a line.
    return TrialServerError(error.message().strip().rstrip(";"))


def _input(name: str, value: NDArray[Any]) -> InferInput:
    given = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
    given.set_data_from_numpy(value)
    return given
