"""How Grafana writes values and colours them, near enough for a preview."""

from collections.abc import Sequence
from math import isnan
from typing import Final

from monitoring.panels import Json

BACK, PANEL, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#d8d9da", "#8e9297"
COLORS: Final = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "text": TEXT,
}
SERIES: Final = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642")
ROUND_SECONDS: Final = (60, 300, 900, 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400)
"""Between the ticks of an axis."""
_SPANS: Final = ((86_400 * 7, "weeks"), (86_400, "days"), (3600, "hours"), (60, "mins"))
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def written(value: float, unit: str, now: float, decimals: int | None = None) -> str:
    """The value as a person reads it; instants are in milliseconds and told from now."""
    if unit == "dateTimeFromNow":
        return _from_now(value / 1000 - now)
    if unit == "percentunit":
        return f"{100 * value:.{_digits(100 * value) if decimals is None else decimals}f}%"
    steps = {"s": _SPANS, "bytes": _SIZES}.get(unit, ())
    for size, name in steps:
        if abs(value) >= size:
            whole = decimals is None and value % size == 0
            name = name.removesuffix("s") if value == size else name
            return f"{value / size:.{0 if whole else 1 if decimals is None else decimals}f} {name}"
    if unit == "short" and abs(value) >= 1000:
        return f"{value / 1000:.3g} K"
    tail = {"s": " s", "bytes": " B"}.get(unit, "")
    return f"{value:.{_digits(value) if decimals is None else decimals}f}{tail}"


def _digits(value: float) -> int:
    """So many decimals that three figures show."""
    return 0 if value == round(value, 6) // 1 or abs(value) >= 100 else 3 if abs(value) < 1 else 1


def _from_now(seconds: float) -> str:
    for size, name in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if abs(seconds) >= size:
            count = round(abs(seconds) / size)
            text = f"{count} {name}{'s' if count > 1 else ''}"
            return f"in {text}" if seconds > 0 else f"{text} ago"
    return "now"


def mapped(value: float | str, mappings: Sequence[Json]) -> tuple[str, str] | None:
    """Word and colour that stand for a value; None: it stands for itself."""
    name = value if isinstance(value, str) else f"{value:g}"
    for mapping in mappings:
        options = mapping["options"]
        if mapping["type"] == "value" and name in options:
            return options[name]["text"], options[name]["color"]
        if mapping["type"] == "special" and isinstance(value, float) and isnan(value):
            return options["result"]["text"], options["result"]["color"]
    return None


def threshold(value: float, steps: Sequence[Json]) -> str:
    """The colour of the last step that the value reaches."""
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1])


def cell(value: float | str, settings: Json, now: float) -> tuple[str, str]:
    """Text and colour of a value under a field's settings."""
    found = mapped(value, settings.get("mappings", ()))
    if found is None and isinstance(value, str):
        found = value, "text"
    elif found is None:
        assert isinstance(value, float)
        told = "–" if isnan(value) else written(value, settings.get("unit", "none"), now, settings.get("decimals"))
        found = told, threshold(value, settings["thresholds"]["steps"])
    return found[0], COLORS[found[1]]


def days_between_ticks(seconds: float) -> int:
    """Of a time axis that is so long."""
    return max(1, round(seconds / 86_400 / 5))
