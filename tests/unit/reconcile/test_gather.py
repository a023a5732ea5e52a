"""What a running build is at: its last report among all that libraries print."""

import json

from dlagent.reconcile.gather import stage_of

EXPORT = json.dumps({"stage": "export", "message": "exporting to ONNX", "step": 3, "of": 7})
FUSE = json.dumps({"stage": "fuse", "message": "fusing", "step": 4, "of": 7})
NOISE = ["/lib/torch/onnx.py:1: UserWarning: deprecated", "  warnings.warn(", "{}", "3", ""]


def test_the_last_report_counts() -> None:
    assert "fusing (4 of 7)" == stage_of([EXPORT, FUSE])


def test_warnings_after_a_report_do_not_hide_it() -> None:
    assert "exporting to ONNX (3 of 7)" == stage_of([EXPORT, *NOISE])


def test_a_log_without_a_report_tells_no_stage() -> None:
    assert stage_of(NOISE) is None
    assert stage_of([]) is None
