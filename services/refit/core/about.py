"""Which refit this is. Here, and not in refit/__init__.py, which knows the way to the model libraries."""

from typing import Final

__version__: Final = "0.1.0"
