"""A run that has not begun, in lines as a person reads them. Pure."""

import shlex
from collections.abc import Iterator
from typing import Final

from refit.cli import words
from refit.cli.outline import line_words, search_words
from refit.cli.prospect import Planned, Prospect, approval, gains
from refit.core.config import Pipeline
from refit.core.config_types import duration_text
from refit.core.domain import STEPS
from refit.core.objective import ONCE_MORE, USUAL_PAUSES, Patience
from refit.data.split import window_end, window_start

LABEL_WIDTH: Final = 11


def lines(planned: Planned, file: str, *, local: bool) -> Iterator[str]:
    """The plan for a person."""
    pipeline, as_of = planned.pipeline, planned.run.as_of
    yield f"{pipeline.name}  a run as of {words.instant(as_of, local=local)}"
    start = window_start(pipeline, as_of)
    since = f"after {words.instant(start, local=local)}, " if start else "all rows "
    yield _labelled("window", f"{since}up to {words.instant(window_end(pipeline, as_of), local=local)}")
    yield from _read_lines(planned, local=local)
    yield from _comparison_lines(planned, local=local)
    yield _labelled("then", approval(planned))
    yield _labelled("takes", _cost(planned.prospect))
    if planned.pipeline.model.search is not None:
        yield _labelled("", f"train searches {search_words(planned.pipeline.model.search)}")
    if planned.pipeline.publish.fit_on == "all":
        yield _labelled("", f"and, once a candidate is accepted, {_second_fit(planned.prospect)}")
    champion = planned.prospect.champion
    stays = f"{champion.version} stays in production" if champion else "there is still no champion"
    for number, text in enumerate(patience_words(planned.patience, planned.pipeline, local=local)):
        yield _labelled("on failure" if number == 0 else "", text)
    yield _labelled("", stays)
    for text in planned.warnings:
        yield _labelled("warning", text)
    if planned.held is not None and planned.held.alive:
        yield _labelled("lock", f"run {planned.held.holder.run_id} is going on; this one would wait for it")
    where = " --executor kubernetes" if planned.is_of_a_cluster else ""
    yield _labelled("next", f"refit run {shlex.quote(file)}{where}")


def _read_lines(planned: Planned, *, local: bool) -> Iterator[str]:
    read, cursor = planned.read, planned.pipeline.source.cursor
    bounds = read.todo.bounds
    if bounds is None:
        yield _labelled("reads", f"nothing: all up to {words.instant(planned.run.as_of, local=local)} was read before")
    else:
        after = f"after {words.instant(bounds.after, local=local)} and " if bounds.after else ""
        until = words.instant(bounds.until, local=local)
        yield _labelled("reads", f"{about(read.rows)} by EXPLAIN, with {cursor} {after}up to {until}")
    if read.todo.fresh:
        yield _labelled("", f"afresh: {read.todo.fresh_reason}")
    else:
        then = "then " if bounds else ""
        yield _labelled("", f"the snapshot of {read.goes_on} goes on: {then}{about(planned.window_rows)} in the window")
    for text in read.todo.warnings:
        yield _labelled("warning", text)
    if planned.may_be_skipped:
        least = words.plural(planned.pipeline.source.min_new_rows, "new row")
        yield _labelled("", f"the run is skipped unless {least} came since the last verdict: nothing else changed")
        if planned.assumes_images:
            yield _labelled("", "  here, that is: whether an image of the release changed is seen when the run begins")


def _comparison_lines(planned: Planned, *, local: bool) -> Iterator[str]:
    champion, known, rows = planned.prospect.champion, planned.prospect.evidence, planned.clean_rows
    if champion is None:
        yield _labelled("compares", "with a dummy that knows no feature: this is the first model")
    else:
        on = f", on {about(rows)} that neither has seen" if rows else ""
        yield _labelled("compares", f"with {champion.version}, as of {words.instant(champion.as_of, local=local)}{on}")
    for number, (line, gain) in enumerate(gains(planned.prospect, planned.pipeline.evaluate.gate, rows)):
        yield _labelled("gate" if number == 0 else "", line_words(line))
        if gain is not None and known is not None and champion is not None:
            yield _labelled(
                "", f"  a gain of {words.figure(gain)} is found 4 times in 5, by what {known.run_id} could show"
            )
    if champion is not None and champion.as_of >= planned.run.as_of:
        yield _labelled("", "  nothing can be proven: the champion is of this as_of or a later one")


def _cost(prospect: Prospect) -> str:
    if not prospect.costs:
        return "not known before a first whole run"
    seconds = words.seconds(sum(cost.seconds for cost in prospect.costs.values()))
    largest = max(
        (step for step in STEPS if step in prospect.costs), key=lambda step: prospect.costs[step].max_rss_bytes
    )
    memory = f"{prospect.costs[largest].max_rss_bytes / 2**20:,.0f} MiB in {largest}"
    return f"about {seconds} and {memory}, by the last {words.plural(prospect.measured, 'whole run')}"


def patience_words(patience: Patience, pipeline: Pipeline, *, local: bool) -> Iterator[str]:
    """What a step does that fails of what may pass by itself, and until when."""
    slo = pipeline.slo
    if slo.on_failure == "record":
        yield "nothing is tried again; the run waits for a rerun, and no webhook is called for it"
        return
    if slo.on_failure == "alert":
        yield f"what may pass by itself is tried once more, after {ONCE_MORE[0]:.0f} s; then the run fails"
        return
    usual = f"{len(USUAL_PAUSES) + 1} times, after {' and '.join(f'{pause:.0f}' for pause in USUAL_PAUSES)} s"
    if patience.until is None or patience.ends_at is None or slo.max_age is None:
        yield f"what may pass by itself is tried {usual}"
        return
    until, ends = words.instant(patience.until, local=local), words.instant(patience.ends_at, local=local)
    yield f"while database, bucket or cluster is away, a step is tried up to {patience.tries} times until {until}:"
    room = f"room for a run of {words.seconds(patience.takes.total_seconds())}"
    if patience.end == "objective":
        yield f"  that leaves {room} before the objective ({duration_text(slo.max_age)}) breaks, at {ends}"
    else:
        yield f"  that leaves {room} before the next scheduled one, at {ends}"
    yield f"what else may pass by itself, as a kill, is tried {usual}"


def _second_fit(prospect: Prospect) -> str:
    train = prospect.costs.get("train")
    took = f": {words.seconds(train.seconds)} and {train.max_rss_bytes / 2**20:,.0f} MiB last" if train else ""
    return f"a second fit in evaluate, on all rows, that takes a little more than train{took}"


def about(rows: int) -> str:
    """An estimate of rows, rounded to what it can mean: three figures."""
    digits = len(str(rows))
    return f"about {words.plural(round(rows, 3 - digits) if digits > 3 else rows, 'row')}"


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}}{text}".rstrip()
