"""A stream knows what went through it."""

from array import array

import pytest

from refit.core.artifacts import describe
from refit.core.writer import ArtifactWriter


def test_size_and_digest_are_those_of_all_that_was_written() -> None:
    written = bytearray()
    with ArtifactWriter("a", written.extend) as writer:
        assert writer.artifact == describe("a", b"")
        for chunk in (b"abc", bytearray(b"de"), memoryview(b"xfgx")[1:3], b""):
            assert writer.write(chunk) == len(chunk)
        assert writer.tell() == 7
        assert writer.writable()
        assert not writer.readable()
    assert bytes(written) == b"abcdefg"
    assert writer.artifact == describe("a", b"abcdefg")


def test_buffers_of_wider_items_count_in_bytes() -> None:
    written = bytearray()
    writer = ArtifactWriter("a", written.extend)
    assert writer.write(array("q", [1, 2])) == 16
    assert writer.artifact.size == len(written) == 16


def test_a_closed_stream_takes_nothing() -> None:
    writer = ArtifactWriter("a", bytearray().extend)
    writer.close()
    with pytest.raises(ValueError, match="the writer of a is closed"):
        writer.write(b"1")


def test_a_failed_write_is_not_counted() -> None:
    def fail(chunk: memoryview) -> None:
        raise ZeroDivisionError

    writer = ArtifactWriter("a", fail)
    with pytest.raises(ZeroDivisionError):
        writer.write(b"1")
    assert writer.artifact == describe("a", b"")
