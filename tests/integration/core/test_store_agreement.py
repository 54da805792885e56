"""Whatever is done to them in whatever order, a folder and a bucket answer alike, and as a plain dict would."""

import secrets
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from refit.core.local_store import LocalStore
from refit.core.s3_store import S3Store
from refit.core.store import Conflict, NotFound, ObjectStore

KEYS = st.sampled_from(["a", "b/c", "b/d", "b-e/f", "g/h/i", "g/h/é"])
PREFIXES = st.sampled_from(["", "b", "b/", "g/h/", "g/h/i", "z/"])
FOLDERS = st.sampled_from(["", "b/", "g/", "g/h/", "z/"])
BODIES = st.binary(max_size=3)

Answer = tuple[str, object]


def agreement(folder: LocalStore, bucket: S3Store) -> type[RuleBasedStateMachine]:
    """A machine that does the same to both stores."""

    class Agreement(RuleBasedStateMachine):
        tags = Bundle("tags")
        """Pairs of tags that both stores gave for the same write."""

        def __init__(self) -> None:
            super().__init__()
            scope = f"{secrets.token_hex(8)}/"
            self.folder, self.bucket = folder.under(scope), bucket.under(scope)
            self.model: dict[str, bytes] = {}

        def both(self, use: Callable[[ObjectStore], Any]) -> tuple[Answer, Answer]:
            return _answer(use, self.folder), _answer(use, self.bucket)

        def wrote(self, key: str, body: bytes, answers: tuple[Answer, Answer]) -> tuple[Any, Any]:
            """Tags, if both wrote; the model follows."""
            here, there = answers
            assert here[0] == there[0]
            if here[0] == "done":
                self.model[key] = body
                return here[1], there[1]
            assert self.model.get(key) != body
            return None, None

        @rule(target=tags, key=KEYS, body=BODIES)
        def create(self, key: str, body: bytes) -> tuple[Any, Any]:
            taken = self.model.get(key, body) != body
            tags = self.wrote(key, body, self.both(lambda store: store.create(key, body)))
            assert (tags[0] is None) is taken
            return tags

        @rule(target=tags, key=KEYS, body=BODIES, known=tags)
        def swap(self, key: str, body: bytes, known: tuple[Any, Any]) -> tuple[Any, Any]:
            here = _answer(lambda store: store.swap(key, body, known[0]), self.folder)
            there = _answer(lambda store: store.swap(key, body, known[1]), self.bucket)
            return self.wrote(key, body, (here, there))

        @rule(target=tags, key=KEYS)
        def tag(self, key: str) -> tuple[Any, Any]:
            here, there = self.both(lambda store: store.entry(key).tag)
            assert here[0] == there[0] == ("done" if key in self.model else "NotFound")
            return (here[1], there[1]) if here[0] == "done" else (None, None)

        @rule(key=KEYS, body=BODIES)
        def put(self, key: str, body: bytes) -> None:
            here, there = self.both(lambda store: store.put(key, body))
            assert here == there
            self.model[key] = body

        @rule(key=KEYS, chunks=st.lists(BODIES, max_size=3), fails=st.booleans())
        def stream(self, key: str, chunks: list[bytes], fails: bool) -> None:
            def use(store: ObjectStore) -> object:
                with store.writer(key) as writer:
                    for chunk in chunks:
                        writer.write(chunk)
                    if fails:
                        raise KeyError
                return writer.artifact

            here, there = self.both(use)
            assert here == there
            if not fails:
                self.model[key] = b"".join(chunks)

        @rule(key=KEYS)
        def delete(self, key: str) -> None:
            assert self.both(lambda store: store.delete(key)) == (("done", None),) * 2
            self.model.pop(key, None)

        @rule(used=consumes(tags))
        def forget(self, used: object) -> None:
            """Old tags make room for new ones."""

        @rule(key=KEYS)
        def read(self, key: str) -> None:
            expected = ("done", self.model[key]) if key in self.model else ("NotFound", None)
            assert self.both(lambda store: store.get(key)) == (expected, expected)
            exists = ("done", key in self.model)
            assert self.both(lambda store: store.exists(key)) == (exists, exists)

        @rule(prefix=PREFIXES)
        def list(self, prefix: str) -> None:
            expected = [
                (key, len(self.model[key])) for key in sorted(self.model, key=str.encode) if key.startswith(prefix)
            ]
            for store in (self.folder, self.bucket):
                assert [(found.key, found.size) for found in store.list(prefix)] == expected

        @rule(prefix=FOLDERS)
        def list_folders(self, prefix: str) -> None:
            below = {key.removeprefix(prefix) for key in self.model if key.startswith(prefix)}
            expected = sorted({rest.split("/")[0] + "/" for rest in below if "/" in rest}, key=str.encode)
            for store in (self.folder, self.bucket):
                assert [f"{name}/" for name in store.list_folders(prefix)] == expected

        @invariant()
        def same(self) -> None:
            assert [found.key for found in self.folder.list("")] == sorted(self.model, key=str.encode)

    return Agreement


def _answer(use: Callable[[ObjectStore], Any], store: ObjectStore) -> Answer:
    try:
        return "done", use(store)
    except (Conflict, NotFound, KeyError) as error:
        return type(error).__name__, None


@pytest.mark.timeout(120)
def test_a_folder_and_a_bucket_agree(folder_store: LocalStore, bucket_store: S3Store) -> None:
    run_state_machine_as_test(
        agreement(folder_store, bucket_store),
        settings=settings(
            max_examples=20,
            stateful_step_count=15,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
