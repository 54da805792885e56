"""The client of the API, against a server that answers as told."""

import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from refit.core.errors import RefitError
from refit.run import kube
from refit.run.cluster import ClusterAway, ClusterDenied, ClusterRefused, NotAdmitted, NoTemplate
from refit.run.kube import LINE_LIMIT, Kube

JOB = {"metadata": {"name": "fd-1", "uid": "u", "creationTimestamp": "2026-11-20T07:00:00Z"}, "spec": {}}
DROPPED, HELD = 0, -1
"""Told as a status: the connection is closed without an answer, or after a while."""


@dataclass(frozen=True)
class Raw:
    """A body of this kind; empty: of none that is told."""

    kind: str
    body: bytes


@dataclass
class Api:
    """Answers in order, the last one again and again: status and body."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def next(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(length)) if length else None
            status, found = api.next(self.command, self.path, sent)
            if status in (DROPPED, HELD):
                time.sleep(1.0 if status == HELD else 0.0)
                self.close_connection = True
                return
            kind = "text/plain" if isinstance(found, bytes) else found.kind if isinstance(found, Raw) else None
            body = found.body if isinstance(found, Raw) else found if kind else json.dumps(found).encode()
            self.send_response(status)
            if kind != "":
                self.send_header("Content-Type", kind or "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815  the server's names

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


Serve = Callable[..., Api]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server that KUBECONFIG names; with `tls` its certificate is of another authority than that says."""
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, Any], tls: str = "") -> Api:
        api = Api(list(answers))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(api))
        cluster: dict[str, Any] = {"server": f"http://127.0.0.1:{server.server_port}"}
        if tls:
            own, other = authority(tmp_path, "own"), authority(tmp_path, "other")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(own)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            cluster["server"] = f"https://127.0.0.1:{server.server_port}"
            cluster["certificate-authority"] = str(own if tls == "trusted" else other)
        config = tmp_path / "kubeconfig"
        context_ = {"cluster": "c", "user": "u", "namespace": "ns"}
        document = {
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": context_}],
        }
        config.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KUBECONFIG", str(config))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return api

    with stamina.set_testing(True, attempts=4):
        yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def authority(folder: Path, name: str) -> Path:
    """A certificate that signs itself, without the extension that Python 3.13 asks for."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def status(code: int, message: str) -> tuple[int, Any]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


def test_a_job_is_created_as_it_is_given(serve: Serve) -> None:
    api = serve((201, JOB))
    wanted = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fd-1"}, "spec": {"newField": {"x": 1}}}
    client = Kube()
    assert client.create(wanted)
    assert client.namespace == "ns"
    assert api.asked == [("POST", "/apis/batch/v1/namespaces/ns/jobs", wanted)]


def test_a_job_whose_name_is_taken_is_not_created(serve: Serve) -> None:
    serve(status(409, 'jobs.batch "fd-1" already exists'))
    assert Kube().create(JOB) is False


def test_a_job_whose_creation_got_no_answer_is_found_to_stand(serve: Serve) -> None:
    api = serve((DROPPED, None), status(409, 'jobs.batch "fd-1" already exists'))
    assert Kube().create(JOB) is False
    assert len(api.asked) == 2


def test_a_job_is_ended_by_a_merge_patch(serve: Serve) -> None:
    api = serve((200, JOB))
    Kube("other").change("fd-1", {"spec": {"activeDeadlineSeconds": 1}})
    assert api.asked == [("PATCH", "/apis/batch/v1/namespaces/other/jobs/fd-1", {"spec": {"activeDeadlineSeconds": 1}})]


def test_objects_are_asked_for_by_name_and_labels(serve: Serve) -> None:
    api = serve(
        (200, JOB),
        (200, {"metadata": {}, "items": [JOB]}),
        (200, {"metadata": {}, "items": []}),
        (200, {"metadata": {}, "items": []}),
        (200, b"a line\nanother\n"),
    )
    client = Kube()
    found = client.job("fd-1")
    assert found is not None
    assert found.uid == "u"
    assert [job.name for job in client.jobs({"refit.dev/run-id": "r"})] == ["fd-1"]
    assert (client.pods("fd-1"), client.events("fd-1"), client.log("p", 8)) == ([], [], b"another\n")
    assert [path for _, path, _ in api.asked] == [
        "/apis/batch/v1/namespaces/ns/jobs/fd-1",
        "/apis/batch/v1/namespaces/ns/jobs?labelSelector=refit.dev%2Frun-id%3Dr",
        "/api/v1/namespaces/ns/pods?labelSelector=batch.kubernetes.io%2Fjob-name%3Dfd-1",
        "/api/v1/namespaces/ns/events?fieldSelector=involvedObject.name%3Dfd-1",
        "/api/v1/namespaces/ns/pods/p/log?timestamps=false&tailLines=2000&container=step&follow=false",
    ]


def test_what_is_not_there_is_told_by_each_in_its_way(serve: Serve) -> None:
    serve(status(404, "not found"))
    client = Kube()
    assert client.job("fd-1") is None
    assert client.log("p", 8) == b""
    client.change("fd-1", {})
    with pytest.raises(NoTemplate):
        client.template("fd-train")


def test_a_log_that_cannot_be_read_costs_only_the_log(serve: Serve) -> None:
    serve(status(500, "Get https://10.0.0.1:10250/containerLogs: connection refused"))
    assert Kube().log("p", 8) == b""


def test_the_last_lines_of_a_log_are_asked_for_with_their_times(serve: Serve) -> None:
    long = b"2026-11-20T07:00:00.1Z " + b"x" * 100_000
    api = serve((200, b"2026-11-20T07:00:00Z a\n" + long))
    client = Kube()
    first, second = client.recent_log("p", None) or ()
    assert (first, len(second)) == ("2026-11-20T07:00:00Z a", LINE_LIMIT)
    client.recent_log("p", 7)
    assert [path for _, path, _ in api.asked] == [
        "/api/v1/namespaces/ns/pods/p/log?timestamps=true&tailLines=200&container=step&follow=false",
        "/api/v1/namespaces/ns/pods/p/log?timestamps=true&tailLines=200&container=step&sinceSeconds=7&follow=false",
    ]


def test_a_line_that_is_cut_within_a_secret_has_no_part_of_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-word")
    serve((200, b"x" * (LINE_LIMIT - 4) + b"s3cr3t-word" + b"x" * 100))
    (line,) = Kube().recent_log("p", None) or ()
    assert line.endswith("x***x")


@pytest.mark.parametrize(
    "answer",
    [
        status(500, "Get https://10.0.0.1:10250/containerLogs: connection refused"),
        status(400, 'container "step" in pod "p" is waiting to start'),
        status(403, "pods is forbidden"),
        status(404, "not found"),
        (DROPPED, None),
    ],
    ids=["node away", "not started", "no right", "gone", "no answer"],
)
def test_the_last_lines_of_a_log_are_asked_for_once(serve: Serve, answer: tuple[int, Any]) -> None:
    api = serve(answer)
    assert Kube().recent_log("p", None) is None
    assert len(api.asked) == 1


def test_the_last_lines_of_a_log_are_not_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "RECENT_SECONDS", 0.2)
    api = serve((HELD, None))
    begun = time.monotonic()
    assert Kube().recent_log("p", None) is None
    assert time.monotonic() - begun < 3
    assert len(api.asked) == 1


FORBIDDEN = 'jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch"'
QUOTA = 'jobs.batch "fd-1" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: 1, limited: 1'
TERMINATING = 'jobs.batch "fd-1" is forbidden: unable to create new content in namespace ns: it is being terminated'
POLICY = 'admission webhook "policies" denied the request: images cannot be of this registry'
QUOTA_MOVED = 'Operation cannot be fulfilled on resourcequotas "few": the object has been modified; please try again'
WEBHOOK = 'Internal error occurred: failed calling webhook "x": connection refused'


@pytest.mark.parametrize(
    ("answer", "kind", "words", "asked"),
    [
        pytest.param(status(403, FORBIDDEN), ClusterDenied, "verb create on jobs", 1, id="403 right"),
        pytest.param(status(403, QUOTA), NotAdmitted, "exceeded quota", 1, id="403 quota"),
        pytest.param(status(403, TERMINATING), ClusterDenied, "or the namespace", 1, id="403 namespace that goes"),
        pytest.param(status(403, POLICY), ClusterDenied, "an admission policy", 1, id="403 policy"),
        pytest.param(status(401, "Unauthorized"), ClusterDenied, "credentials are refused", 1, id="401"),
        pytest.param(status(422, "spec.template: Required"), ClusterRefused, "spec.template: Required", 1, id="422"),
        pytest.param(status(500, WEBHOOK), NotAdmitted, "failed calling webhook", 1, id="webhook"),
        pytest.param(status(500, "etcd leader changed"), ClusterAway, "etcd leader changed", 4, id="500"),
        pytest.param(status(409, QUOTA_MOVED), ClusterAway, "modified", 4, id="409 of a quota"),
        pytest.param(status(429, "too many requests"), ClusterAway, "too many", 4, id="429"),
        pytest.param((503, b"<html>"), ClusterAway, "Service Unavailable", 4, id="a proxy's 503"),
        pytest.param((502, Raw("", b"")), ClusterAway, "Bad Gateway", 4, id="a proxy's 502 of no kind"),
        pytest.param((503, Raw("application/json", b"{no")), ClusterAway, "Service Unavailable", 4, id="a cut 503"),
        pytest.param((DROPPED, None), ClusterAway, "RemoteProtocolError", 4, id="dropped"),
        pytest.param((201, b"{not"), ClusterAway, "DecodeError", 4, id="cut"),
    ],
)
def test_what_the_server_says_becomes_an_error_of_refit(
    serve: Serve, answer: tuple[int, Any], kind: type[RefitError], words: str, asked: int
) -> None:
    api = serve(answer)
    with pytest.raises(kind) as raised:
        Kube().create(JOB)
    assert type(raised.value) is kind
    assert words in f"{raised.value.message} {raised.value.next}"
    assert "cannot create jobs fd-1 in namespace ns" in raised.value.message
    assert len(api.asked) == asked


def test_what_a_proxy_says_is_not_there_is_no_word_of_the_server(serve: Serve) -> None:
    api = serve((404, b"default backend - 404"), (404, b"default backend - 404"), (200, JOB))
    assert Kube().job("fd-1") is not None
    assert len(api.asked) == 3


@pytest.mark.parametrize("printed", ["no json", "{}", "[]", '{"status": {"clientCertificateData": "x"}}', "\\377"])
def test_a_command_for_credentials_that_prints_none_is_told(serve: Serve, tmp_path: Path, printed: str) -> None:
    api = serve((200, JOB))
    config = tmp_path / "kubeconfig"
    document = yaml.safe_load(config.read_text())
    version = "client.authentication.k8s.io/v1beta1"
    document["users"][0]["user"] = {"exec": {"apiVersion": version, "command": "printf", "args": [printed]}}
    config.write_text(yaml.safe_dump(document))
    with pytest.raises(ClusterDenied, match="cannot get jobs fd-1 in namespace ns: no credentials") as raised:
        Kube().job("fd-1")
    assert "ExecCredential" in raised.value.next
    assert printed not in raised.value.message
    assert api.asked == []


def test_a_quota_that_others_use_at_the_same_moment_is_no_job_of_the_same_name(serve: Serve) -> None:
    api = serve(status(409, QUOTA_MOVED), (201, JOB))
    assert Kube().create(JOB) is True
    assert len(api.asked) == 2


def test_an_outage_is_waited_out(serve: Serve) -> None:
    serve((DROPPED, None), status(503, "not ready"), (200, JOB))
    assert Kube().job("fd-1") is not None


def test_nobody_at_the_address_is_an_outage(serve: Serve, tmp_path: Path) -> None:
    serve((200, JOB))
    config = tmp_path / "kubeconfig"
    document = yaml.safe_load(config.read_text())
    document["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    config.write_text(yaml.safe_dump(document))
    with pytest.raises(ClusterAway, match="ConnectError"):
        Kube().job("fd-1")


def test_a_certificate_of_another_authority_is_told_at_once(serve: Serve) -> None:
    api = serve((200, JOB), tls="untrusted")
    with pytest.raises(ClusterRefused, match="certificate is not trusted"):
        Kube().job("fd-1")
    assert api.asked == []


def test_an_authority_without_key_usage_is_trusted(serve: Serve) -> None:
    serve((200, JOB), tls="trusted")
    assert Kube().job("fd-1") is not None


@pytest.mark.parametrize("text", [None, "{}", "a: [", "clusters: 3"], ids=["no file", "empty", "no YAML", "other"])
def test_settings_that_name_no_cluster_are_refused(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "kubeconfig"
    if text is not None:
        config.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(config))
    with pytest.raises(ClusterRefused, match="no settings for a cluster"):
        Kube()
