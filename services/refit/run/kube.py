"""The Kubernetes API through lightkube: the only module that knows it, and where its errors become refit's own.

    ClusterAway     75   outages, throttling, faults of the server: after they were waited out
    NotAdmitted     75   a quota is used up, or an admission webhook is away: told at once, the caller waits
    ClusterDenied   77   401; 403, with verb and resource
    ClusterRefused  64   422 and other refusals, a certificate that is not trusted, settings that cannot be used

Objects are read and written as plain JSON: lightkube's typed models drop fields that they do not know.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx2
import msgspec
import stamina
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.core.exceptions import ConfigError as SettingsError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from refit.core.errors import RefitError
from refit.core.logs import LONGER_THAN_SECRETS, redact
from refit.run.cluster import (
    CONTAINER,
    ClusterAway,
    ClusterDenied,
    ClusterRefused,
    Document,
    Event,
    Job,
    NotAdmitted,
    NoTemplate,
    Pod,
    event_of,
    job_of,
    pod_of,
)

FIRST_SECONDS: Final = 30.0
"""How long an outage is waited out before the server has answered once: its address may be wrong."""
LATER_SECONDS: Final = 600.0
"""And afterwards: steps go on while a control plane is replaced."""
HURRY_SECONDS: Final = 5.0
LOG_SECONDS: Final = 60.0
"""And for a log: its node may be away when the server is not."""
LOG_LINES: Final = 2000
RECENT_SECONDS: Final = 2.0
"""And for the last lines of a log that goes on: the next look asks again."""
RECENT_LINES: Final = 200
LINE_LIMIT: Final = 16384
_CRON_JOBS: Final = create_namespaced_resource("batch", "v1", "CronJob", "cronjobs")
_JOBS: Final = create_namespaced_resource("batch", "v1", "Job", "jobs")
_PODS: Final = create_namespaced_resource("", "v1", "Pod", "pods")
_EVENTS: Final = create_namespaced_resource("", "v1", "Event", "events")
_UNREAD: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What lightkube raises where a file, a command or an answer is not of the form that it takes for granted."""
_FOREIGN: Final = (httpx2.HTTPError, httpx2.InvalidURL, SettingsError, msgspec.DecodeError, OSError, *_UNREAD)
"""All that a request can raise."""
_UNUSABLE: Final = (SettingsError, yaml.YAMLError, msgspec.MsgspecError, OSError, *_UNREAD)
_WEBHOOK: Final = "failed calling webhook"
_TAKEN: Final = "already exists"
_QUOTA: Final = "exceeded quota"
_RIGHT: Final = '" cannot '
"""In what the server says of a right that is missing: User "x" cannot create resource "jobs" in API group "batch"."""
_CHECK_SETTINGS: Final = "check KUBECONFIG and its current context: kubectl get jobs must work"
Result = TypeVar("Result")


class Kube:
    """One namespace of the cluster that the service account, or else KUBECONFIG, names. See `Cluster`.

    Args:
        namespace: None: the one of the service account, or of the kubeconfig's context.
        is_known: The server's address is right, so that an outage is waited out from the first request on.
    """

    def __init__(self, namespace: str | None = None, *, is_known: bool = False) -> None:
        self._has_answered = is_known
        try:
            self._client, self._hasty = _clients(namespace)
        except _UNUSABLE as error:
            raise ClusterRefused(
                f"no settings for a cluster can be used: {type(error).__name__}: {redact(str(error))}",
                next=_CHECK_SETTINGS,
            ) from error

    @property
    def namespace(self) -> str:
        return str(self._client.namespace)

    def template(self, name: str) -> Document:
        found: Document | None = self._call(
            "get", f"cronjobs {name}", lambda: self._client.get(_CRON_JOBS, name), absent=None
        )
        if found is None:
            raise NoTemplate(name, self.namespace)
        return found

    def job(self, name: str) -> Job | None:
        found = self._call("get", f"jobs {name}", lambda: self._client.get(_JOBS, name), absent=None)
        return None if found is None else job_of(found)

    def jobs(self, labels: Mapping[str, str]) -> Sequence[Job]:
        def ask() -> list[Document]:
            return list(self._client.list(_JOBS, labels=dict(labels)))

        return [job_of(each) for each in self._call("list", "jobs", ask)]

    def create(self, job: Document) -> bool:
        name = job["metadata"]["name"]
        made: bool = self._call("create", f"jobs {name}", lambda: bool(self._client.create(_JOBS(**job))), taken=False)
        return made

    def change(self, name: str, patch: Document, *, hurry: bool = False) -> None:
        self._call(
            "patch",
            f"jobs {name}",
            lambda: bool(self._client.patch(_JOBS, name, dict(patch), patch_type=PatchType.MERGE)),
            absent=False,
            seconds=HURRY_SECONDS if hurry else None,
        )

    def pods(self, job: str) -> Sequence[Pod]:
        def ask() -> list[Document]:
            return list(self._client.list(_PODS, labels={"batch.kubernetes.io/job-name": job}))

        return sorted((pod_of(each) for each in self._call("list", "pods", ask)), key=lambda pod: pod.created_at)

    def events(self, name: str) -> Sequence[Event]:
        def ask() -> list[Document]:
            return list(self._client.list(_EVENTS, fields={"involvedObject.name": name}))

        found = [event_of(each) for each in self._call("list", "events", ask)]
        return sorted(found, key=lambda event: event.at.timestamp() if event.at else 0.0)

    def say(self, event: Document) -> None:
        def ask() -> bool:
            return bool(self._client.create(_EVENTS(**event)))

        self._call("create", "events", ask, taken=False, seconds=HURRY_SECONDS)

    def log(self, pod: str, limit_bytes: int) -> bytes:
        def ask() -> Iterator[str]:
            return self._client.log(pod, container=CONTAINER, tail_lines=LOG_LINES)

        try:
            lines = self._call("get", f"pods/log {pod}", ask, absent=None, seconds=LOG_SECONDS)
        except RefitError:  # never started, or its node does not answer: the log is not worth the run
            return b""
        return b"".join(line.encode(errors="replace") for line in lines or ())[-limit_bytes:]

    def recent_log(self, pod: str, seconds: int | None) -> Sequence[str] | None:
        try:
            lines = self._hasty.log(
                pod, container=CONTAINER, since=seconds, tail_lines=RECENT_LINES, timestamps=True, newlines=False
            )
            return [redact(line[: LINE_LIMIT + LONGER_THAN_SECRETS])[:LINE_LIMIT] for line in lines]
        except _FOREIGN:
            return None

    def _call(
        self,
        verb: str,
        what: str,
        request: Callable[[], Result],
        *,
        seconds: float | None = None,
        **instead: Any,
    ) -> Any:
        """What `request` returns; outages are waited out.

        Args:
            seconds: How long they are.
            instead: `absent`, for a 404, and `taken`, for a 409, are returned in their place.
        """
        patience = seconds or (LATER_SECONDS if self._has_answered else FIRST_SECONDS)
        try:
            for attempt in stamina.retry_context(
                on=_is_outage, attempts=None, timeout=patience, wait_initial=0.5, wait_max=5.0
            ):
                with attempt:
                    found = request()
        except _FOREIGN as error:
            status = _status(error)
            self._has_answered |= status != 0
            if status == 404 and "absent" in instead:
                return instead["absent"]
            if status == 409 and "taken" in instead and not _is_outage(error):
                return instead["taken"]
            raise mapped(_answer_in(error), verb, what, self.namespace) from error
        self._has_answered = True
        return found


def _clients(namespace: str | None) -> tuple[Client, Client]:
    """A client whose certificates are verified as Python did before 3.13, as chain and host name; and a hasty one.

    Python 3.13 also asks for extensions that the authorities of older clusters lack
    (https://github.com/kubernetes-client/python/issues/2394).
    """
    config = KubeConfig.from_env().get()
    if config is None or config.user is None:
        raise SettingsError("the current context names no user")
    context = verify_cluster(config.cluster, config.user, config.abs_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    transport = httpx2.HTTPTransport(verify=context)
    times = httpx2.Timeout(10, connect=5), httpx2.Timeout(RECENT_SECONDS)
    client, hasty = (Client(config, namespace=namespace, transport=transport, timeout=time) for time in times)
    return client, hasty


def _is_outage(error: Exception) -> bool:
    """The same request may succeed a moment later."""
    error = _answer_in(error)
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        if status == 404 and not isinstance(error, ApiError):
            return True  # of a proxy whose server is away: what is not there, the API server says in its own form
        if status == 409:
            return _TAKEN not in _words(error)  # the object, or a quota that counts it, was changed at this moment
        return status == 429 or (status >= 500 and _WEBHOOK not in _words(error))
    if isinstance(error, msgspec.DecodeError):
        return True  # an answer that was cut
    return isinstance(error, httpx2.TransportError) and not _is_untrusted(error)


def _answer_in(error: Exception) -> Exception:
    """The answer that lightkube could not read, where that is what went wrong; else the error itself."""
    found: BaseException | None = error if isinstance(error, _UNREAD) else None
    while found is not None:
        if isinstance(found, httpx2.HTTPStatusError):
            return found
        found = found.__context__
    return error


def _is_untrusted(error: BaseException | None) -> bool:
    """A certificate that does not verify arrives as a ConnectError, like an outage."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def mapped(error: Exception, verb: str, what: str, namespace: str) -> RefitError:
    """The RefitError that an error of a request stands for."""
    doing = f"cannot {verb} {what} in namespace {namespace}"
    if isinstance(error, httpx2.HTTPStatusError):
        return _answered(error, verb, what, doing)
    if _is_untrusted(error):
        return ClusterRefused(
            f"{doing}: the API server's certificate is not trusted",
            next="check certificate-authority in KUBECONFIG, and the server's address",
        )
    if isinstance(error, SettingsError):
        return ClusterDenied(f"{doing}: {redact(str(error))}", next=_CHECK_SETTINGS)
    if isinstance(error, httpx2.TransportError | msgspec.DecodeError):
        return ClusterAway(
            f"{doing}: the API server is away ({type(error).__name__})", next="see that it answers: kubectl get jobs"
        )
    if isinstance(error, _UNREAD):
        return ClusterDenied(
            f"{doing}: no credentials could be had ({type(error).__name__})",
            next="the command that KUBECONFIG names under exec must print an ExecCredential with a token, as JSON",
        )
    return ClusterRefused(f"{doing}: {type(error).__name__}: {redact(str(error))}", next=_CHECK_SETTINGS)


def _answered(error: httpx2.HTTPStatusError, verb: str, what: str, doing: str) -> RefitError:
    status, words = error.response.status_code, redact(_words(error))
    text = f"{doing}: {words} (HTTP {status})"
    if status == 401:
        return ClusterDenied(text, next="the credentials are refused: " + _CHECK_SETTINGS)
    if status == 403 and _QUOTA in words:
        return NotAdmitted(text, next="raise the quota, or let Jobs end: kubectl describe quota")
    if status == 403 and _RIGHT not in words:
        return ClusterDenied(text, next="mend what the server names: an admission policy, or the namespace")
    if status == 403:
        resource = what.partition(" ")[0]
        return ClusterDenied(text, next=f"the Role needs the verb {verb} on {resource}; the chart brings it")
    if _WEBHOOK in words:
        return NotAdmitted(text, next="see why the admission webhook does not answer")
    if status in (409, 429) or status >= 500:
        return ClusterAway(text, next="see that the API server is well: kubectl get jobs")
    return ClusterRefused(text, next="mend what the server names, in the chart's values or the admission policy")


def _status(error: Exception) -> int:
    """What the API server said; 0 where it said nothing in its own form."""
    return error.response.status_code if isinstance(error, ApiError) else 0


def _words(error: httpx2.HTTPStatusError) -> str:
    """What the server says; a proxy's answer is no Status of Kubernetes."""
    if isinstance(error, ApiError):
        return str(error.status.message or error.status.reason or "")
    return str(error.response.reason_phrase)
