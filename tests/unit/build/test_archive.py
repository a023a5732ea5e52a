"""Archives made to harm: they are refused by what they say of themselves, before they unpack."""

import io
import re
import tracemalloc
import zipfile
from typing import Any

import pytest

from dlagent.build import archive as archives
from dlagent.build.archive import open_archive
from dlagent.build.failure import BuildError

MIB = 1 << 20


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    return zipped({"model/data/weights/weight_0": bytes(64 * MIB)})


def many_small_bombs() -> bytes:
    return zipped({f"model/data/weights/weight_{n}": bytes(MIB) for n in range(64)})


def a_bomb_of_a_graph() -> bytes:
    return zipped({"model/models/model.json": b" " * (65 * MIB)})


@pytest.mark.parametrize(
    ("data", "limit", "why"),
    [
        pytest.param(bomb(), 32 * MIB, "would unpack to 67108864 bytes", id="one entry"),
        pytest.param(many_small_bombs(), 32 * MIB, "would unpack to 67108864", id="many entries"),
        pytest.param(a_bomb_of_a_graph(), 1 << 30, "as no program has", id="a graph"),
    ],
)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    workshop: Any, data: bytes, limit: int, why: str
) -> None:
    workshop.put(data, "net.pt2")

    tracemalloc.start()
    summary = workshop.build("net.pt2", maxSourceBytes=limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert ("Failed", "InvalidModel") == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith("load: ")
    assert re.search(why, summary.message), summary.message
    assert "torch.export.save" in summary.message
    assert peak < 32 * MIB


def test_an_archive_under_the_name_of_an_onnx_file_is_no_way_around(workshop: Any) -> None:
    workshop.put(bomb())

    summary = workshop.build(maxSourceBytes=32 * MIB)
    assert ("Failed", "InvalidModel") == (summary.outcome, summary.reason)


def test_too_many_entries_are_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zipped({str(number): b"" for number in range(1001)}))

    monkeypatch.setattr(archives, "MOST_ENTRIES", 1001)
    with open_archive(path, MIB) as archive:
        assert 1001 == len(archive.infolist())
    monkeypatch.setattr(archives, "MOST_ENTRIES", 1000)
    with pytest.raises(BuildError, match="more than 1000 entries"), open_archive(path, MIB):
        pass


def test_a_table_that_is_too_large_is_not_read(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zipped({f"{number:0>200}": b"" for number in range(1000)}))
    monkeypatch.setattr(archives, "_MOST_TABLE_BYTES", 200_000)

    with pytest.raises(BuildError, match="entries, as no program has"), open_archive(path, MIB):
        pass


def test_a_large_entry_of_an_archive_is_read_whole(tmp_path: Any) -> None:
    path = tmp_path / "net.pt2"
    content = bytes(range(256)) * (20 * MIB // 256)
    path.write_bytes(zipped({"weights": content}, zipfile.ZIP_STORED))

    with open_archive(path, 20 * MIB) as archive:
        assert content == archive.read("weights")
