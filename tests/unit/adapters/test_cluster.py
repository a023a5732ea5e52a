"""Reading build logs past the cache."""

import asyncio
from datetime import UTC, datetime
from typing import cast

from dlagent.adapters.api import Api, MissingError
from dlagent.adapters.cluster import Cluster


class Logs:
    """An apiserver that has one log; stands in for `Api`."""

    def __init__(self, log: bytes | None) -> None:
        self.log = log

    async def request(self, verb: str, _info: object, path: str, query: dict[str, str]) -> bytes:
        assert ("logs", "/api/v1/namespaces/n/pods/p/log") == (verb, path)
        if self.log is None:
            raise MissingError(404, "no such pod")
        assert "build" == query["container"]
        lines = self.log.splitlines(keepends=True)[-int(query["tailLines"]) :]
        return b"".join(lines)[: int(query["limitBytes"])]


def last_lines(log: bytes | None) -> list[str]:
    cluster = Cluster(cast(Api, Logs(log)), lambda _kind, _obj: None, lambda: datetime.now(UTC))
    return asyncio.run(cluster.last_lines("n", "p", "build"))


def test_lines_before_the_last_are_read_too() -> None:
    log = b'{"stage": "export"}\n' + b"a long warning " * 100 + b"\n  warn()\n"

    assert '{"stage": "export"}' == last_lines(log)[0]


def test_a_log_that_cannot_be_read_has_no_lines() -> None:
    assert [] == last_lines(None)
