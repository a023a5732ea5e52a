"""report.json as one line of the loader's log, by which it leaves the cluster.

The loader has the store mounted and verifies the report; `dlagent report AGENT` reads the log.
Compressed, a report of twenty candidates takes some kilobytes. Used by the loader, which must
start at once: no import here but the standard library.
"""

import base64
import binascii
import zlib

MOST_BYTES = 4 * 2**20  # of a report that is put into a log, or read out of one
_PREFIX = "dlagent-report "


def report_line(report: bytes) -> str | None:
    """The line; None for a report that is too large for a log."""
    if len(report) > MOST_BYTES:
        return None
    return _PREFIX + base64.b64encode(zlib.compress(report, 9)).decode()


def report_in(log: str) -> bytes | None:
    """The report in a loader's log, the last one if there are several; None where there is none."""
    found = [line for line in log.splitlines() if line.startswith(_PREFIX)]
    if not found:
        return None
    unpack = zlib.decompressobj()
    try:
        packed = base64.b64decode(found[-1].removeprefix(_PREFIX), validate=True)
        report = unpack.decompress(packed, MOST_BYTES)
    except (binascii.Error, zlib.error):
        return None
    return report if unpack.eof else None
