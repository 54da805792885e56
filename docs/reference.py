"""Writes docs/file.md, the reference of the pipeline file's keys, from the models that read it.

python docs/reference.py            writes it
python docs/reference.py --check    fails when it is stale
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from refit.core.config_schema import reference

PAGE: Final = Path(__file__).with_name("file.md")
_HEAD: Final = """\
# The pipeline file, key by key

Written by `python docs/reference.py` from the models that read the file. Durations are an integer and s, m, h, d or w.
`*` stands for a name of your own, `[]` for each item of a list. A key whose description says that it is not built yet
is refused by `refit check` with a sentence when a file sets it to something else than its default.

| key | takes | default | what it does |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for key in reference():
        default = f"`{key.default}`" if key.default else "–"
        cells = (f"`{key.key}`", key.kind, default, key.description)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.read_text() == page() else f"{PAGE.name} is stale: run python docs/reference.py")
    PAGE.write_text(page())
