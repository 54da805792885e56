"""The world in which commands are tried against each other: what its versions are called, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refit.core import exclusions, keys, registry
from refit.core.domain import LockRef, OwnerRef
from refit.core.quarantine import decisions
from refit.core.refs import read_ref
from tests.faults.case import Case
from tests.faults.test_retention import in_order
from tests.fixtures import invariants
from tests.fixtures.calls import Called, call


@dataclass(frozen=True)
class Lived:
    """A copy of the world, with names for its versions.

    Attributes:
        first: The first champion.
        waste: A version that waits, keeps bad rows, and is one that gc takes.
        champion: The champion.
        newest: A version that waits.
    """

    case: Case
    first: str
    waste: str
    champion: str
    newest: str

    @classmethod
    def of(cls, case: Case) -> "Lived":
        first, waste, champion, newest, *_ = in_order(case)
        return cls(case, first, waste, champion, newest)

    def copied(self, name: object) -> "Lived":
        return Lived(self.case.copied(str(name)), self.first, self.waste, self.champion, self.newest)

    def words(self, words: Sequence[str]) -> tuple[str, ...]:
        """The words of a command, in which `@first` and its like stand for versions."""
        return tuple(getattr(self, word[1:]) if word.startswith("@") else word for word in words)

    def call(self, *words: str) -> Called:
        return call(*self.words(words), "--store", self.case.url)

    def moves(self, since: int = 0) -> list[tuple[str, str]]:
        """What the champion was moved to, by which kind of move, after this generation."""
        names = {self.first: "first", self.waste: "waste", self.champion: "champion", self.newest: "newest"}
        history = registry.read_history(self.case.store)
        return [(move.kind, names.get(move.version, "run")) for move in history if move.generation > since]

    def check(self) -> None:
        """All that holds also while a run goes on."""
        invariants.champion_is_complete(self.case.store)
        invariants.manifests_are_whole(self.case.store)
        invariants.history_is_linear(self.case.store)

    def state(self) -> dict[str, Any]:
        """What people and runs have decided, and which objects stand, but no times, tokens and makers."""
        store = self.case.store
        champion, lock = registry.read_champion(store), read_ref(store, "lock", LockRef)
        owner = read_ref(store, "owner", OwnerRef)
        objects = {one.key for one in store.list("") if not one.key.startswith(keys.HISTORY)}  # whose last may be owed
        return {
            "moves": self.moves(),
            "champion": (champion[0].anchor, champion[0].barred, champion[0].hold is not None) if champion else None,
            "exclusions": [(one.where, one.undone is not None) for one in exclusions.read_exclusions(store)],
            "decisions": [(one.run_id, one.action, one.stretches) for one in decisions(store)],
            "holder": lock[0].holder if lock else None,
            "owner": owner[0].owner if owner else None,
            "objects": objects - {keys.ref("lock")},
        }
