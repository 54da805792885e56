"""The stream into one object that both stores hand out."""

import hashlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from refit.core.domain import Artifact

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class ArtifactWriter(io.RawIOBase):
    """Passes all that is written on to `sink`, and knows its size and digest.

    Closing it ends the writing, not the object: that appears when the store's `with` block ends.
    """

    def __init__(self, key: str, sink: Callable[[memoryview], object]) -> None:
        super().__init__()
        self._key, self._sink = key, sink
        self._size, self._digest = 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, chunk: "ReadableBuffer", /) -> int:
        if self.closed:
            raise ValueError(f"the writer of {self._key} is closed")
        with memoryview(chunk) as view, view.cast("B") as octets:
            self._sink(octets)
            self._digest.update(octets)
            self._size += len(octets)
            return len(octets)

    @property
    def artifact(self) -> Artifact:
        """Key, size and digest of all written so far."""
        return Artifact(key=self._key, size=self._size, sha256=self._digest.hexdigest())
