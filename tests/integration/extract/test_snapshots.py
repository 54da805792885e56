"""Snapshots over several extracts: what is read, what stands, what counts as new."""

from tests.integration.extract.conftest import Bench, day


def test_first_extract_reads_all_up_to_as_of(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0), (2, day(2), None, 2.0), (3, day(9), False, 3.0)])
    manifest = bench.extract(day(5))
    assert manifest.fresh
    assert (manifest.rows.read, manifest.rows.new, manifest.rows.snapshot, manifest.rows.unlabelled) == (2, 2, 2, 1)
    assert manifest.snapshot is not None and manifest.snapshot.watermark == day(2)
    assert bench.rows(manifest, day(5), "id", "at") == [(1, day(1)), (2, day(2))]
