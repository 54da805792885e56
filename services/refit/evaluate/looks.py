"""How much doubt one look may spend of the year's budget of false promotions (gate.md section 3).

α grows with the days since the last look, so daily runs, weekly runs and pressing the button until it passes all
spend the same: expected false promotions ≤ Σα ≤ budget, by linearity, under any dependence between looks
(after Lan & DeMets 1983, Discrete sequential boundaries for clinical trials).
"""

from datetime import datetime, timedelta

from refit.core.domain import Look

YEAR_DAYS = 365.0


def share(
    as_of: datetime,
    *,
    last_look: datetime | None,
    champion_as_of: datetime | None,
    false_promotions_per_year: float,
    confidence: float,
    tries: int = 1,
) -> Look | None:
    """The look that a run at `as_of` may take; None when no time passed since the last one, so nothing may be proven.

    Args:
        last_look: `as_of` of the last evaluate that computed an interval.
        champion_as_of: `as_of` of the champion; None for the first model, which meets a dummy at 1 − confidence.
        tries: Candidates that this run may judge; they share the look.
    """
    if champion_as_of is None:
        return Look(as_of=as_of, days=None, alpha=(1.0 - confidence) / tries)
    days = (as_of - (last_look or champion_as_of)) / timedelta(days=1)
    if days <= 0:
        return None
    alpha = min(1.0 - confidence, false_promotions_per_year * days / YEAR_DAYS) / tries
    return Look(as_of=as_of, days=days, alpha=alpha)
