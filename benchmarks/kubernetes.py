"""A run on a cluster: what Jobs cost beside the work of their steps, and how long a team waits for its first model.

    python benchmarks/kubernetes.py --run [--tag dev] [--keep] [--out FILE.json]

Needs kubectl, helm, KUBECONFIG, and the images in the cluster; without --run, as in `make bench`, it touches none. The
servers of k8s/dev with the demo's flights stand in a namespace of its own, which is removed afterwards. Measured: from
`helm install` to the end of the first run by hand, which promotes; per step, the time from the creation of extract's
Job to the completion of publish's without the seconds that the steps say they worked, divided by four (times of the API
have whole seconds); the coordinator's peak memory (VmHWM of its process). Against: the median of five Jobs of the same
image that do nothing, from `kubectl create` to the return of `kubectl wait`.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DEV = ROOT / "k8s" / "dev"
NAMESPACE, RELEASE = "refit-bench", "flight-delays"
STEPS = ("extract", "train", "evaluate", "publish")
TARGET_SECONDS, TARGET_MIB = 6.0, 96.0


def kubectl(*words: str, check: bool = True, given: str | None = None) -> str:
    """What the command printed."""
    command = ["kubectl", "--namespace", NAMESPACE, *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"kubectl {' '.join(words)}: {done.stderr}")
    return done.stdout


def start_servers(tag: str) -> None:
    """PostgreSQL with the flights, and MinIO with its users, stand in an empty namespace."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    for name, folder in (("dev-scripts", "scripts"), ("dev-policies", "policies")):
        kubectl("create", "configmap", name, f"--from-file={DEV / folder}")
    for name in ("secrets", "postgres", "minio", "load-flights", "set-up-store"):
        text = (DEV / f"{name}.yaml").read_text().replace(":dev\n", f":{tag}\n")
        subprocess.run(
            ["kubectl", "-n", NAMESPACE, "apply", "-f", "-"],
            input=text,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    kubectl("wait", "--for=condition=Complete", "--timeout=300s", "job/load-flights", "job/set-up-store")


@dataclass
class Run:
    """The first run of a release."""

    seconds: float
    peak_mib: float


def first_run(tag: str) -> Run:
    """Installs the chart and starts a run by hand at once."""
    begun, peak = time.monotonic(), 0.0
    command = [
        "helm",
        "install",
        RELEASE,
        ROOT / "helm" / "refit",
        "--namespace",
        NAMESPACE,
        "--set",
        f"images.tag={tag}",
    ]
    command += ["--values", DEV / "values.yaml", "--set-file", f"pipeline={DEV / 'refit.yaml'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    kubectl("create", "job", f"--from=cronjob/{RELEASE}", "first")
    while True:
        status = json.loads(kubectl("get", "job", "first", "--output", "json"))["status"]
        for condition in status.get("conditions", []):
            if condition["type"] == "Complete":
                return Run(time.monotonic() - begun, peak)
            if condition["type"] == "Failed":
                raise SystemExit(f"the run failed:\n{kubectl('logs', 'job/first')}")
        seen = kubectl("exec", "job/first", "--", "grep", "VmHWM", "/proc/1/status", check=False)
        if found := re.search(r"(\d+) kB", seen):
            peak = max(peak, int(found[1]) / 1024)
        time.sleep(0.5)


def beyond_work() -> tuple[float, dict[str, float]]:
    """Seconds per step beyond its own work, and the work of each."""
    jobs = json.loads(kubectl("get", "jobs", "--selector", "refit.dev/run-id", "--output", "json"))["items"]
    pods = json.loads(kubectl("get", "pods", "--selector", "refit.dev/run-id", "--output", "json"))["items"]
    created = min(_time(job["metadata"]["creationTimestamp"]) for job in jobs)
    completed = max(_time(job["status"]["completionTime"]) for job in jobs)
    work = {}
    for pod in pods:
        (status,) = pod["status"]["containerStatuses"]
        said = json.loads(status["state"]["terminated"]["message"])
        work[str(said["step"])] = float(said["seconds"])
    assert set(work) == set(STEPS), work
    return ((completed - created).total_seconds() - sum(work.values())) / len(STEPS), work


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def idle_job(tag: str, number: int) -> float:
    """Seconds that a Job takes which does nothing."""
    begun = time.monotonic()
    kubectl("create", "job", f"idle-{number}", f"--image=refit-train:{tag}", "--", "python", "-c", "pass")
    kubectl("wait", "--for=condition=Complete", "--timeout=120s", f"job/idle-{number}")
    return time.monotonic() - begun


def measure(tag: str) -> dict[str, Any]:
    start_servers(tag)
    run = first_run(tag)
    beyond, work = beyond_work()
    idle = statistics.median(idle_job(tag, number) for number in range(5))
    return {
        "first_promoted_seconds": run.seconds,
        "coordinator_peak_mib": run.peak_mib,
        "work_seconds": work,
        "beyond_work_seconds_per_step": beyond,
        "idle_job_seconds": idle,
        "ratio_to_idle_job": beyond / idle,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help=f"use the cluster of KUBECONFIG, namespace {NAMESPACE}")
    parser.add_argument("--tag", default="dev", help="of the images")
    parser.add_argument("--keep", action="store_true", help=f"leave the namespace {NAMESPACE} as it is")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    if not arguments.run:
        print("nothing was measured: --run uses the cluster that KUBECONFIG names")
        return 0
    asked = shutil.which("kubectl") and subprocess.run(["kubectl", "version"], capture_output=True, check=False)
    if not asked or asked.returncode:
        print("no cluster answers: let KUBECONFIG name one; nothing was measured")
        return 1
    try:
        found = measure(arguments.tag)
    finally:
        if not arguments.keep:
            kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")
    width = max(map(len, found))
    for name, figure in found.items():
        print(f"{name:<{width}}  {figure:.3g}" if isinstance(figure, float) else f"{name:<{width}}  {figure}")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    beyond, peak = found["beyond_work_seconds_per_step"], found["coordinator_peak_mib"]
    holds = beyond <= TARGET_SECONDS and peak <= TARGET_MIB
    print(f"target (≤ {TARGET_SECONDS} s a step, ≤ {TARGET_MIB} MiB): {'met' if holds else 'NOT met'}")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
