"""Prometheus, Alertmanager and who gets its messages, in the namespace of a case; and Pushgateways that fail."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.e2e.kubectl import Kubectl, Object, until
from tests.fixtures.minio import DEV
from tests.fixtures.scripts import ROOT

RULES: Final = ROOT / "monitoring" / "prometheus" / "refit.rules.yaml"
LISTENER: Final = """
import json, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/slow"):
            time.sleep(60)
        if self.path == "/alerts":
            for alert in json.loads(body)["alerts"]:
                print(json.dumps(alert), flush=True)
        self.send_response(400 if self.path.startswith("/400") else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
"""Prints each alert that is posted to /alerts; as a Pushgateway it is slow below /slow and refuses below /400."""
USER: Final = 65534


@dataclass(frozen=True)
class Monitors:
    """Servers of one namespace; `start` first."""

    kubectl: Kubectl
    tag: str

    def listen(self) -> None:
        """What is posted to listener:8080 is taken, and told in its log."""
        image = f"refit-run:{self.tag}"
        self.kubectl.apply(*_server("listener", image, {"command": ["python", "-c", LISTENER]}, 8080, {}))
        self._wait("listener")

    def start(self) -> None:
        """What is pushed to pushgateway:9091 is judged by the rules each second, and told to the listener."""
        # Cases wait for no alert longer than for the path that it takes.
        rules = re.sub(r"\b(for|interval): \w+", r"\1: 1s", RULES.read_text())
        prometheus = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [_scraped("pushgateway:9091")],
            "rule_files": ["/etc/watch/rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        }
        route = {"receiver": "listener", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        hook = {"url": "http://listener:8080/alerts", "send_resolved": True}
        alertmanager = {"route": route, "receivers": [{"name": "listener", "webhook_configs": [hook]}]}
        files = {
            "prometheus.yaml": yaml.safe_dump(prometheus),
            "rules.yaml": rules,
            "alertmanager.yaml": yaml.safe_dump(alertmanager),
        }
        self.kubectl("apply", "--filename", str(DEV / "pushgateway.yaml"))
        self.kubectl.apply(
            *_server(
                "prometheus",
                "prom/prometheus:v2.53.3",
                {"args": ["--config.file=/etc/watch/prometheus.yaml", "--storage.tsdb.path=/data"]},
                9090,
                files,
            ),
            *_server(
                "alertmanager",
                "prom/alertmanager:v0.28.1",
                {
                    "args": [
                        "--config.file=/etc/watch/alertmanager.yaml",
                        "--storage.path=/data",
                        "--cluster.listen-address=",  # it would look for others
                    ]
                },
                9093,
                files,
            ),
        )
        self.listen()
        self._wait("pushgateway", "prometheus", "alertmanager")

    def alert(self, name: str, status: str, seconds: float = 60) -> Object:
        """The newest alert of that name that the listener was told of, once it has this status."""

        def look() -> Object | None:
            lines = self.kubectl("logs", "deployment/listener").splitlines()
            found = [alert for alert in map(json.loads, lines) if alert["labels"]["alertname"] == name]
            return found[-1] if found and found[-1]["status"] == status else None

        return until(look, f"alert {name} {status}", seconds, 0.5, self._told)

    def _told(self) -> str:
        parts = [self.kubectl.tried("get", "pods").stdout]
        for name in ("listener", "prometheus", "alertmanager"):
            parts.append(f"--- {name}\n{self.kubectl.tried('logs', f'deployment/{name}', '--tail=20').stdout}")
        return "\n".join(parts)

    def _wait(self, *names: str) -> None:
        words = [f"deployment/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Available", "--timeout=120s", *words, "--request-timeout=0")


def _scraped(target: str) -> Object:
    return {"job_name": "pushgateway", "honor_labels": True, "static_configs": [{"targets": [target]}]}


def _server(name: str, image: str, words: dict[str, list[str]], port: int, files: dict[str, str]) -> tuple[Object, ...]:
    """A Deployment of one pod, its Service, and its files below /etc/watch.

    Args:
        words: `command` of the container, or `args` of its image's own.
    """
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **words,
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [
            {"name": "files", "mountPath": "/etc/watch"},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "files", "configMap": {"name": name}}, {"name": "data", "emptyDir": {}}],
    }
    labels = {"app.kubernetes.io/name": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    )
