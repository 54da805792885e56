"""Receives the rows of a COPY in a thread of its own, a few blocks ahead of the reader at most.

libpq hands over one row per call, so the starts of rows are known without parsing, and a row that cannot be read
is set apart before it meets Arrow, whose CSV stream would end at it. The reader waits in Python and not in libpq:
SIGTERM finds it within moments, however long the database is silent.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from typing import Final

from refit.extract.database import Database

BLOCK_ROWS: Final = 16_384
BLOCK_BYTES: Final = 4 << 20
BLOCKS_AHEAD: Final = 1
STOP_SECONDS: Final = 5.0
_COMMA: Final = ord(",")


@dataclass
class RawBlock:
    """Rows as COPY's CSV gives them, each with its line end.

    Attributes:
        rows: Rows without a fault.
        faulty: Rows whose first cell names columns that cannot be read.
        oversize: Rows longer than `max_row_bytes`.
    """

    rows: list[bytes] = field(default_factory=list)
    faulty: list[bytes] = field(default_factory=list)
    oversize: list[bytes] = field(default_factory=list)


class _Stopped(Exception):
    """The reader has gone; no error."""


class _Receiver:
    """Gathers rows into blocks and waits while the reader is behind."""

    def __init__(self, max_row_bytes: int) -> None:
        self.queue: Queue[RawBlock | BaseException | None] = Queue(BLOCKS_AHEAD)
        self.stopped = threading.Event()
        self._max_row_bytes = max_row_bytes
        self._block, self._bytes, self._rows = RawBlock(), 0, 0

    def write(self, row: bytes) -> None:
        if len(row) > self._max_row_bytes:
            self._block.oversize.append(row)
        elif row[0] != _COMMA:
            self._block.faulty.append(row)
        else:
            self._block.rows.append(row)
        self._bytes += len(row)
        self._rows += 1
        if self._rows >= BLOCK_ROWS or self._bytes >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self.put(self._block)
            self._block, self._bytes, self._rows = RawBlock(), 0, 0

    def put(self, item: RawBlock | BaseException | None) -> None:
        while not self.stopped.is_set():
            with suppress(Full):
                self.queue.put(item, timeout=0.2)
                return
        raise _Stopped


def receive(database: Database, sql: str, max_row_bytes: int) -> Iterator[RawBlock]:
    """Yields all rows of the COPY in the order in which they come, in blocks of some MiB.

    Raises:
        RefitError: the database ended the stream; the blocks before it are not the whole.
    """
    receiver = _Receiver(max_row_bytes)

    def run() -> None:
        end: BaseException | None = None
        with suppress(_Stopped):
            try:
                database.copy(sql, receiver)
                receiver.flush()
            except _Stopped:
                raise
            except BaseException as error:  # noqa: BLE001  it goes on in the reader's thread
                end = error
            receiver.put(end)

    thread = threading.Thread(target=run, name="refit-copy", daemon=True)
    thread.start()
    try:
        while (item := receiver.queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        receiver.stopped.set()
        if thread.is_alive():
            database.cancel()
        with suppress(Empty):
            receiver.queue.get_nowait()
        thread.join(STOP_SECONDS)
