"""Writes the files of monitoring/ and of the chart that come from metric names.

python monitoring/generate.py            writes them
python monitoring/generate.py --check    fails when they are stale
python monitoring/generate.py --into DIR --runbook URL --reports URL --by pipeline,team --datasource UID
                                         writes them below DIR, with addresses and labels of one's own
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from monitoring import dashboards, page, rules  # noqa: E402  found by the line above
from monitoring.alerts import Setting  # noqa: E402
from monitoring.series import Series  # noqa: E402


def files() -> dict[str, str]:
    """Path within the repository and text of each file."""
    return {**rules.files(), **dashboards.files(), **page.files()}


def of_ones_own(asked: argparse.Namespace) -> dict[str, str]:
    """The same files with addresses and labels of one's own."""
    setting = replace(rules.ALL, series=Series(tuple(asked.by.split(","))), runbook=asked.runbook)
    if asked.reports:
        setting = rules.with_reports(setting, asked.reports)
    return {**files(), **rules.files(setting, asked.datasource)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Rules and dashboards from the names of refit's metrics.")
    parser.add_argument("--check", action="store_true", help="only say which files are stale")
    parser.add_argument("--into", type=Path, help="a folder for files with what the other options say")
    parser.add_argument("--runbook", default=Setting().runbook, help="address of docs/runbook.md")
    parser.add_argument("--reports", help="address below which people browse the store: reports are at …/NAME/runs/")
    parser.add_argument("--by", default="pipeline", help="labels that name a pipeline, like pipeline,team")
    parser.add_argument("--datasource", default="prometheus", help="uid of the Prometheus in Grafana")
    asked = parser.parse_args(arguments)
    wanted = {ROOT / name: text for name, text in files().items()}
    if asked.check:
        stale = sorted(path for path, text in wanted.items() if not path.exists() or path.read_text() != text)
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run python monitoring/generate.py")
        return 1 if stale else 0
    if asked.into:
        wanted = {asked.into / name: text for name, text in of_ones_own(asked).items()}
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
