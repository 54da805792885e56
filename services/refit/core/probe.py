"""Whether a store honours conditional writes, found out by racing real writers.

Some S3 servers accept If-None-Match and If-Match and ignore them: of 16 writers 16 win (s3rver, rclone serve s3).
Others check and then write in two steps. Either would let two runs both move the champion.

    .probe/<token>/…        the races' own objects, removed afterwards
    .probe/result.json      the last good result, for 30 days by the store's own clock
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Final

from refit.core import keys
from refit.core.domain import Instant, Record
from refit.core.errors import ArtifactError, RefitError
from refit.core.refs import new_token
from refit.core.store import ConditionsIgnored, Conflict, NotFound, ObjectStore

RACERS: Final = 8
DAYS: Final = 30
_KEY: Final = keys.PROBE + "result.json"
_SECONDS_PER_DAY: Final = 86_400


class Probed(Record):
    """.probe/result.json: this store, behind this server, honoured its conditions."""

    url: str
    endpoint: str
    """A bucket's copy on another server must be probed anew."""
    probed_at: Instant


def probe(store: ObjectStore, *, now: datetime) -> None:
    """The store honours conditional writes; raced for unless a result of the last 30 days stands.

    Args:
        store: The whole store, not one pipeline's part of it.
        now: For the record only.

    Raises:
        ConditionsIgnored: it does not.
        AccessError: it cannot be written to.
    """
    if _is_known(store):
        return
    scope = store.under(f"{keys.PROBE}{new_token()}/")
    try:
        _race_and_refuse(scope)
    finally:
        for key in ("race", "warm"):
            with suppress(RefitError):  # what stays behind harms nobody; the finding counts
                scope.delete(key)
    store.put(_KEY, Probed(url=store.url, endpoint=store.endpoint, probed_at=now).to_json())


def _is_known(store: ObjectStore) -> bool:
    try:
        entry = store.entry(_KEY)
        found = Probed.from_json(entry.body, _KEY)
    except NotFound:
        return False
    except ArtifactError:  # altered, or of another version
        return False
    return entry.age_seconds < DAYS * _SECONDS_PER_DAY and (found.url, found.endpoint) == (store.url, store.endpoint)


def _race_and_refuse(scope: ObjectStore) -> None:
    """Raises ConditionsIgnored unless each race has one winner and each stale write is refused."""
    first = _race(scope, "create the same object", lambda body: scope.create("race", body))
    second = _race(scope, "replace the same version", lambda body: scope.swap("race", body, first))
    for seen, write in (
        ("a standing object was created again", lambda body: scope.create("race", body)),
        ("a write with an old tag replaced a newer object", lambda body: scope.swap("race", body, first)),
        ("a write for a new object replaced a standing one", lambda body: scope.swap("race", body, None)),
    ):
        if _wins(write, b"stale " + new_token().encode()) is not None:
            raise ConditionsIgnored(scope.url, seen)
    if _wins(lambda body: scope.swap("race", body, second), new_token().encode()) is None:
        raise ConditionsIgnored(scope.url, "a write with the current tag was refused")


def _race(scope: ObjectStore, what: str, write: Callable[[bytes], str]) -> str:
    """The tag of the only winner, whose body stands.

    All start at once, each over a connection of its own that already stands.
    """
    start = threading.Barrier(RACERS)
    bodies = [f"racer {number} {new_token()}".encode() for number in range(RACERS)]

    def run(body: bytes) -> str | None:
        try:
            scope.exists("warm")
            start.wait()
        except BaseException:
            start.abort()  # the others wait for all
            raise
        return _wins(write, body)

    with ThreadPoolExecutor(RACERS, thread_name_prefix="refit-probe") as pool:
        races = [pool.submit(run, body) for body in bodies]
    failures = [failure for race in races if (failure := race.exception()) is not None]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, threading.BrokenBarrierError)):
        raise failure
    won = [(body, tag) for body, race in zip(bodies, races, strict=True) if (tag := race.result()) is not None]
    if len(won) != 1:
        raise ConditionsIgnored(scope.url, f"of {RACERS} writers that raced to {what}, {len(won)} won")
    (body, tag) = won[0]
    if scope.get("race") != body:
        raise ConditionsIgnored(scope.url, f"of {RACERS} writers that raced to {what}, a loser's object stands")
    return tag


def _wins(write: Callable[[bytes], str], body: bytes) -> str | None:
    """The tag, or None when the write was refused."""
    try:
        return write(body)
    except Conflict:
        return None
