"""`refit metrics`: what Prometheus is told of a pipeline, from the store's records."""

import os
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import click

from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option, name_argument, store_option
from refit.cli.place import Place, find
from refit.core import pushgateway
from refit.core.errors import ConfigError, DependencyError
from refit.core.metrics import Group, Sample
from refit.core.pushgateway import SETTING, Pushgateway
from refit.run.recollection import of_runs, push_latest, recollect

Groups = list[tuple[Group, list[Sample]]]


class NoPushgateway(ConfigError):
    """Nothing says where metrics go."""

    def __init__(self) -> None:
        super().__init__(f"{SETTING} is not set", next=f"name the Pushgateway: {SETTING}=http://pushgateway:9091")


class PushFailed(DependencyError):
    """The Pushgateway did not take what it was sent."""

    def __init__(self, group: Group, why: str) -> None:
        super().__init__(
            f"the metrics of {group} were not pushed: {why}", next=f"see that {SETTING} answers, then repeat"
        )


@click.command(epilog=example("refit metrics flight-delays", "refit metrics flight-delays --push"))
@name_argument
@click.option("--push", is_flag=True, help=f"Push it to {SETTING}, which may have forgotten it.")
@store_option
@json_option
def metrics(target: str, push: bool, store: str | None, as_json: bool) -> None:
    """Prints the metrics of pipeline NAME as its last runs left them, in the text format of Prometheus.

    They come from the store's records, so that a Pushgateway that was emptied can be filled again with --push. What
    processes that died without a word would have said is not among them.
    """
    place = find(target, store)
    groups = list(recollect(place.store, datetime.now(UTC)))
    if push:
        _push(place, groups)
    if as_json:
        say_json(document(place.name, groups))
    elif push:
        talk(f"pushed {sum(len(found) for _, found in groups)} samples of {place.name}")
    else:
        from refit.core.push import exposition

        say(exposition(place.name, groups).rstrip("\n"))


def document(name: str, groups: Groups) -> dict[str, Any]:
    """As --json has it; what is no number, or has no end, is null."""
    return {
        "format": 1,
        "pipeline": name,
        "metrics": [_entry(group, sample) for group, found in groups for sample in found],
    }


def _entry(group: Group, sample: Sample) -> dict[str, Any]:
    labels = {label.name: value for label, value in zip(sample.metric.labels, sample.labels, strict=True)}
    value = sample.value if isfinite(sample.value) else None
    return {"name": sample.metric.name, "step": group, "labels": labels, "value": value}


def _push(place: Place, groups: Groups) -> None:
    gateway = pushgateway.at(pushgateway.url_of(os.environ), place.name)
    if gateway is None:
        raise NoPushgateway
    for group, found in groups:
        if why := _push_group(gateway, place, group, found):
            raise PushFailed(group, why)


def _push_group(gateway: Pushgateway, place: Place, group: Group, found: list[Sample]) -> str:
    if group == "run":  # which others push too
        return push_latest(gateway, place.store, lambda: list(of_runs(place.store, datetime.now(UTC))))
    return gateway.push(group, found)
