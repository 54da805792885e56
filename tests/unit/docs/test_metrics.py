"""The page of metrics is that of the code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_table_of_metrics_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "metrics.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
