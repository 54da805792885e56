"""Writes the plain manifests that the chart renders: `make manifests`; needs helm.

python k8s/render.py            writes k8s/base/ and k8s/dev/pipeline/
python k8s/render.py --check    fails when they are stale; without helm it says so and looks at nothing
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
CHART: Final = ROOT / "helm" / "refit"
KUBERNETES: Final = "1.34.0"
_OF_HELM: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by")
_HEAD: Final = "# Rendered from helm/refit by `make manifests`; change the chart or the values instead.\n"


@dataclass(frozen=True)
class Target:
    """A folder of manifests and what they are rendered from."""

    folder: Path
    values: Path
    pipeline: Path
    namespace: str
    release: str = "flight-delays"


TARGETS: Final = (
    Target(
        ROOT / "k8s" / "base",
        ROOT / "k8s" / "values.yaml",
        ROOT / "services" / "refit" / "demo" / "flight-delays.yaml",
        "refit",
    ),
    Target(
        ROOT / "k8s" / "dev" / "pipeline",
        ROOT / "k8s" / "dev" / "values.yaml",
        ROOT / "k8s" / "dev" / "refit.yaml",
        "refit-dev",
    ),
)


def find_helm() -> str | None:
    """helm on PATH, or beside this Python, where `make helm` puts it."""
    return shutil.which("helm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def files(target: Target, helm: str) -> dict[Path, str]:
    """The files of a folder: one for each object, and the kustomization that names them."""
    command = [
        helm, "template", target.release, str(CHART), "--namespace", target.namespace, "--kube-version", KUBERNETES,
        "--values", str(target.values), "--set-file", f"pipeline={target.pipeline}", "--skip-tests",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  helm
    objects = [found for found in yaml.safe_load_all(done.stdout) if found]
    made = {f"{found['kind'].lower()}-{found['metadata']['name']}.yaml": _text(_plain(found)) for found in objects}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": target.namespace,
        "resources": sorted(made),
    }
    made["kustomization.yaml"] = _text(kustomization)
    return {target.folder / name: text for name, text in made.items()}


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """The object without the labels that say that helm looks after it."""
    for label in _OF_HELM:
        found["metadata"]["labels"].pop(label)
    return found


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, as a person writes it."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def _text(found: dict[str, Any]) -> str:
    return _HEAD + yaml.dump(found, Dumper=_Dumper, sort_keys=False, width=120)


def main(arguments: list[str]) -> int:
    helm = find_helm()
    if helm is None:
        print("k8s/render.py: no helm here, so the manifests were not looked at; make helm builds it", file=sys.stderr)
        return 0 if arguments == ["--check"] else 1
    wanted = {path: text for target in TARGETS for path, text in files(target, helm).items()}
    there = {path for target in TARGETS for path in target.folder.glob("*.yaml")}
    if arguments == ["--check"]:
        stale = sorted(
            path for path in there | set(wanted) if not path.exists() or wanted.get(path) != path.read_text()
        )
        print(*(f"{path.relative_to(ROOT)} is stale: run make manifests\n" for path in stale), sep="", end="")
        return 1 if stale else 0
    for path in there - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
