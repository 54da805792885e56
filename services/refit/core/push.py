"""One push of samples over HTTP, by prometheus-client. Imported when something is pushed."""

from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult
from urllib.request import Request, build_opener

from prometheus_client import CollectorRegistry, Gauge, delete_from_gateway, generate_latest, pushadd_to_gateway

from refit.core.logs import redact
from refit.core.metrics import JOB, Group, Sample
from refit.core.post import Unmoved, address_of, authorization, body_of, without_user

_WORDS_LIMIT: Final = 200
Sender = Callable[..., Callable[[], None]]
"""What prometheus-client hands a finished request to."""


def send(url: str, group: Mapping[str, str], samples: Iterable[Sample] | None, timeout_seconds: float) -> str:
    """The group has the samples; returns why it has not, in words without secrets, or nothing.

    Args:
        samples: None: there is no such group any more.
    """
    try:
        parts = address_of(url)
        if parts is None:
            return "REFIT_PUSHGATEWAY is no address like http://pushgateway:9091; a password may have to be %-encoded"
        bare = without_user(parts)._replace(query="").geturl()
        if samples is None:
            delete_from_gateway(bare, JOB, dict(group), timeout_seconds, _sender(parts))
        else:
            pushadd_to_gateway(bare, JOB, registry(samples), dict(group), timeout_seconds, _sender(parts))
    except HTTPError as error:
        with error:
            return _words(f"answered {error.code} {error.reason}", body_of(error, _WORDS_LIMIT))
    except URLError as error:
        return _words(str(error.reason))
    except (OSError, HTTPException, ValueError) as error:  # ValueError: names that cannot be
        return _words(str(error) or type(error).__name__)
    return ""


def registry(samples: Iterable[Sample]) -> CollectorRegistry:
    """The samples as prometheus-client has them."""
    return _registry((sample, {}) for sample in samples)


def exposition(pipeline: str, groups: Iterable[tuple[Group, Iterable[Sample]]]) -> str:
    """The groups in the text format of Prometheus, each series with the labels that the Pushgateway would give it."""
    grouped = ((one, {"job": JOB, "pipeline": pipeline, "step": group}) for group, found in groups for one in found)
    return generate_latest(_registry(grouped)).decode()


def _registry(samples: Iterable[tuple[Sample, Mapping[str, str]]]) -> CollectorRegistry:
    """The samples, each with further labels, which are the same names for all."""
    found, gauges = CollectorRegistry(), dict[str, Gauge]()
    for sample, further in samples:
        metric = sample.metric
        if metric.name not in gauges:
            names = [*further, *(label.name for label in metric.labels)]
            gauges[metric.name] = Gauge(metric.name, metric.help, names, registry=found)
        gauge, values = gauges[metric.name], (*further.values(), *sample.labels)
        (gauge.labels(*values) if values else gauge).set(sample.value)
    return found


def _sender(parts: SplitResult) -> Sender:
    """Sends with the user and password of the address, if it has any."""

    def sender(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        def post() -> None:
            given = dict(headers) | authorization(parts)
            request = Request(url, data, given, method=method)  # noqa: S310  http or https, as `send` saw
            with build_opener(Unmoved).open(request, timeout=timeout):
                pass

        return post

    return sender


def _words(text: str, body: bytes = b"") -> str:
    more = " ".join(body.decode(errors="replace").split())
    return redact(f"{text}: {more}" if more else text)[:_WORDS_LIMIT]
