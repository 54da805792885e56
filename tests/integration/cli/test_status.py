"""`refit status` over a bucket: many pipelines are read side by side."""

from datetime import timedelta

import pytest

from refit.core import keys
from refit.core.store import open_store
from tests.fixtures.calls import call
from tests.fixtures.past_runs import FIRST, put_promoted
from tests.fixtures.records import NOW


def test_every_pipeline_of_a_bucket_has_its_line_in_order(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://{bucket}/team"
    names = [f"pipeline-{number:02}" for number in range(20)]
    root = open_store(url)
    for number, name in enumerate(names):
        put_promoted(root.under(f"{name}/"), FIRST, NOW - timedelta(days=number))
    root.delete(f"{names[7]}/{keys.ref('champion')}")
    monkeypatch.setenv("REFIT_STORE", url)
    called = call("status", "--json")
    found = called.document["pipelines"]
    assert called.code == 66
    assert [one["pipeline"] for one in found] == names
    assert [one["pipeline"] for one in found if "error" in one] == [names[7]]
    watermarks = [one["watermark"][:10] for one in found if "error" not in one]
    assert watermarks == sorted(watermarks, reverse=True)
