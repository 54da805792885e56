"""What every stored document is made of.

A `Record` is a stored document of its own and carries `format`; a `Value` is a part of one. Field names are the
stored names. All instants are UTC. To change a document in a way that older code would misread, raise FORMAT.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from refit.core.errors import ArtifactError, UnknownFormat

FORMAT: Final = 1
StepName = Literal["extract", "train", "evaluate", "publish"]
STEPS: Final[tuple[StepName, ...]] = ("extract", "train", "evaluate", "publish")
OutcomeName = Literal["promoted", "rejected", "skipped", "awaiting_approval", "superseded", "failed"]
FitOn = Literal["evaluated", "all"]
"""Which of a version's models: the one that was evaluated, or the same definition fitted again on all rows."""
Result = Literal["accepted", "rejected", "inconclusive"]


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]


class Value(BaseModel):
    """A frozen part of a stored document."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="null")


class Record(Value):
    """A stored document."""

    format: int = FORMAT

    def to_json(self) -> bytes:
        """The document as stored: UTF-8, indented, one trailing newline."""
        return self.model_dump_json(indent=1, by_alias=True).encode() + b"\n"

    @classmethod
    def from_json(cls, body: bytes, key: str) -> Self:
        """The document stored at `key`.

        Raises:
            UnknownFormat: another version of refit wrote it.
            ArtifactError: it is no document of this kind; names the key and the first fault.
        """
        try:
            probe = _Probe.model_validate_json(body)
            if probe.format != FORMAT:
                raise UnknownFormat(key, probe.format, FORMAT)
            return cls.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or "the document"
            raise ArtifactError(
                f"{key} is not a valid {cls.__name__} document: {where}: {fault['msg']}",
                next="restore the object from the bucket's versions or a backup",
            ) from error


class _Probe(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")
    format: Any = None


class Artifact(Value):
    """A stored object as a manifest names it; `key` is relative to the pipeline."""

    key: str
    size: int
    sha256: str
