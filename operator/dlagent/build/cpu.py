"""What the machine that builds can do, as far as it decides which candidates apply."""

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Best first: the flags of Linux by which ONNX Runtime chooses how it multiplies 8-bit integers.
_CLASSES = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2")


def instruction_set(cpu_info: Path = CPU_INFO) -> str:
    """The best class of instructions that this CPU has, as one word.

    One of amx_int8, avx512_vnni, avx_vnni, avx512f, avx2; else the architecture, such as aarch64.
    """
    flags = _flags(cpu_info)
    return next((name for name in _CLASSES if name in flags), platform.machine())


def _flags(cpu_info: Path) -> set[str]:
    """The flags that all processors have; none where the file does not say."""
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    found = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return set.intersection(*found) if found else set()
