"""The model of a version, loaded and asked again: whether it is what it was when it was judged.

Libraries, own code and machines change under a stored model. What changed is told from the train manifest; whether
that matters is told by the rows that evaluate stored with the model, of which it must say what it said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refit.core import environment
from refit.core.config import Pipeline
from refit.core.domain import Artifact, TrainManifest
from refit.core.errors import ArtifactError
from refit.ml import own
from refit.ml.persist import read_back
from refit.ml.predictions import CannotBeAsked, SaysOtherwise, ask_again


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model that loads, and does not say other than it did.

    Attributes:
        body: The model file; its digest is that of the manifest.
        changes: What differs from the day on which it was fitted, and what the libraries warned of.
        asked_rows: Stored rows of which it says what it said; None where it could not be asked.
        unasked: Why it could not be asked, in words; empty where it was.
    """

    body: bytes
    estimator: Any
    changes: tuple[str, ...]
    asked_rows: int | None
    unasked: str = ""


def changes(train: TrainManifest, pipeline: Pipeline) -> tuple[str, ...]:
    """What differs here from where the model was fitted, a sentence per thing."""
    packages = own.packages(pipeline)
    return (*environment.changes(train.environment, packages), *own.changes(train.code, packages))


def stored_model(
    train: TrainManifest, predictions: Artifact | None, pipeline: Pipeline, read: Callable[[Artifact], bytes]
) -> StoredModel:
    """The model that a train manifest names.

    Args:
        predictions: What it said of some rows when it was judged.
        pipeline: The version's own file.
        read: Gives an artifact's verified bytes; may raise ArtifactError.

    Raises:
        ArtifactError: its file is gone, altered, refused or does not load here.
        SaysOtherwise: of some stored rows it says something else, or it fails.
        OwnCodeFails: code of the user's own raises anything on stored rows, or ends the loading.
    """
    body = read(train.model)
    with own.OwnCode(own.packages(pipeline)):
        found = read_back(body, own.named(pipeline, train.trusted))
    changed = (*changes(train, pipeline), *found.warnings)
    try:
        if predictions is None:
            raise CannotBeAsked("no predictions were stored with it")
        with own.OwnCode(own.packages(pipeline)):
            rows = ask_again(read(predictions), found.estimator, train.columns)
    except SaysOtherwise:
        raise
    except ArtifactError as error:
        return StoredModel(body, found.estimator, changed, None, error.message)
    return StoredModel(body, found.estimator, changed, rows)
