"""How states and instants are shown, the same on all dashboards."""

from typing import Final, get_args

from monitoring.panels import Color, Steps, words
from refit.core.domain import OutcomeName

COLORS: Final[dict[str, Color]] = {
    "promoted": "green",
    "rejected": "blue",
    "skipped": "text",
    "awaiting_approval": "orange",
    "superseded": "purple",
    "failed": "red",
}
OUTCOMES: Final[tuple[str, ...]] = get_args(OutcomeName)
NUMBERS: Final = {name: place for place, name in enumerate(OUTCOMES, 1)}
"""Of outcomes, where a series needs one."""
OUTCOME_WORDS: Final = words({name: (name.replace("_", " "), COLORS[name]) for name in OUTCOMES})
OUTCOME_NUMBERS: Final = words({str(NUMBERS[name]): (name.replace("_", " "), COLORS[name]) for name in OUTCOMES})
APPROVAL: Final = words({"0": ("no", "text"), "1": ("waits", "orange")})
HOLD: Final = words({"0": ("none", "text"), "1": ("on hold", "orange")})
CONDITIONS: Final = words({"1": ("honoured", "green"), "0": ("LOST", "red")}, nan="unknown")
CODES: Final = words({"0": ("0", "green")})
NO_OBJECTIVE: Final = words({}, nan="no objective")
NO_SCHEDULE: Final = words({}, nan="no schedule")
OF_OBJECTIVE: Final[Steps] = ((None, "green"), (0.8, "yellow"), (1, "red"))
"""A champion's age as a share of what is allowed."""
SHARE_FRESH: Final[Steps] = ((None, "red"), (0.9, "yellow"), (0.99, "green"))
SOME_IS_BAD: Final[Steps] = ((None, "green"), (1, "red"))
SOME_WAITS: Final[Steps] = ((None, "text"), (1, "orange"))
BELOW_ZERO_IS_BAD: Final[Steps] = ((None, "red"), (0, "green"))
PSI: Final[Steps] = ((None, "green"), (0.1, "yellow"), (0.25, "orange"))
"""Rules of thumb for the population stability index: below 0.1 alike, above 0.25 shifted. Siddiqi, Credit Risk
Scorecards, 2006, chapter 9. Orange and not red: drift informs, the gate decides."""
