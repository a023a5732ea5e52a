"""The class of instructions, from what Linux says of the processors."""

import platform
from pathlib import Path

import pytest

from dlagent.build.cpu import instruction_set


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(["sse4_2 avx2 avx512f avx512_vnni amx_int8"], "amx_int8", id="the best one"),
        pytest.param(["avx2 avx512f avx512_vnni avx_vnni"], "avx512_vnni", id="512 bits first"),
        pytest.param(["avx2 avx_vnni"], "avx_vnni", id="VNNI without AVX-512"),
        pytest.param(["avx2 avx512f"], "avx512f", id="AVX-512 without VNNI"),
        pytest.param(["sse4_2 avx avx2"], "avx2", id="AVX2"),
        pytest.param(["avx2 avx512f", "avx2"], "avx2", id="what all processors have"),
        pytest.param(["sse4_2 avx"], platform.machine(), id="older than AVX2"),
    ],
)
def test_the_best_class_is_named(tmp_path: Path, flags: list[str], expected: str) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("".join(f"processor\t: 0\nflags\t\t: {words}\n\n" for words in flags))
    assert expected == instruction_set(path)


def test_a_machine_that_does_not_say_is_named_by_its_architecture(tmp_path: Path) -> None:
    assert platform.machine() == instruction_set(tmp_path / "missing")


def test_this_machine_is_one_of_the_classes() -> None:
    known = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", platform.machine())
    assert instruction_set() in known
