"""The errors of refit: one class per thing that an operator can act on.

    RefitError                 what, which, what next; carries its exit code
    ├── ConfigError       64   the file, the usage, the SQL's syntax, an unknown name
    ├── DataError         65   the data breaks its contract
    ├── ArtifactError     66   a stored object is missing, altered or of a refused type
    ├── DiskError         74   the local disk is full or fails
    ├── DependencyError   75   database, bucket or API server is away or too slow
    ├── AccessError       77   permission or credentials, a read-only store
    ├── SupersededError   79   another run came first
    └── TerminatedError  143   SIGTERM

To add an error: derive from the class with the right exit code, in the module that raises it, with a message
that says what happened, which (key, run, column) and, in `next`, what to do. Foreign exceptions are mapped
once, in the adapter that meets them, with `from`. Messages never hold a credential.

The codes follow sysexits.h where it has one.
"""

from typing import ClassVar

MESSAGE_LIMIT = 4000


class RefitError(Exception):
    """Base of all errors that refit raises on purpose.

    Args:
        message: What happened and which thing it is about; cut at 4,000 characters.
        next: What the reader can do about it, as a sentence or a command; empty when the message says it.
    """

    exit_code: ClassVar[int] = 70
    error_class: ClassVar[str] = "bug"
    retried: ClassVar[bool] = False

    def __init__(self, message: str, *, next: str = "") -> None:
        super().__init__(message[:MESSAGE_LIMIT])
        self.next = next

    @property
    def message(self) -> str:
        return str(self.args[0])


class ConfigError(RefitError):
    """The file, the command or a name is wrong; a retry cannot help."""

    exit_code = 64
    error_class = "config"


class DataError(RefitError):
    """The rows break their contract; production stays untouched."""

    exit_code = 65
    error_class = "data"


class ArtifactError(RefitError):
    """A stored object is missing, has another digest, or is of a refused type."""

    exit_code = 66
    error_class = "artifact"


class DiskError(RefitError):
    """The local disk is full or fails."""

    exit_code = 74
    error_class = "disk"
    retried = True


class DependencyError(RefitError):
    """Database, bucket or API server is away or too slow."""

    exit_code = 75
    error_class = "dependency"
    retried = True


class WorkerKilled(DependencyError):
    """A worker process of a fit or a search ended by itself, mostly for want of memory."""


class AccessError(RefitError):
    """Credentials or permissions do not suffice."""

    exit_code = 77
    error_class = "permission"


class SupersededError(RefitError):
    """Another run came first; nothing repeats."""

    exit_code = 79
    error_class = "superseded"


class TerminatedError(RefitError):
    """The process was asked to end (SIGTERM)."""

    exit_code = 143
    error_class = "killed"
    retried = True


class Sigterm(BaseException):
    """SIGTERM came; told as TerminatedError where the process ends.

    Like KeyboardInterrupt it is no Exception: whoever handles errors, a library included, must not go on after it.
    """


class Sigint(KeyboardInterrupt):
    """SIGINT came to a step: what raises a plain KeyboardInterrupt there is code that was called."""


class UnknownFormat(ArtifactError):
    """A stored document has a format that this version does not read."""

    def __init__(self, key: str, found: object, known: int) -> None:
        super().__init__(
            f"{key} has format {found!r}; this version of refit reads format {known}",
            next="use the version of refit that wrote it, or a newer one",
        )
