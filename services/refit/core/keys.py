"""The only place where an object key is spelled. Pure.

All keys are relative to the pipeline's own prefix, so that a bucket can move:

    runs/<run_id>/run.json                        create-once: who, why, as_of, parent, digests
    runs/<run_id>/refit.yaml                      the file as read
    runs/<run_id>/templates.json                  create-once, on Kubernetes: the steps' templates
    runs/<run_id>/<step>.json                     manifest: create-once, written last
    runs/<run_id>/<step>/<attempt>/<name>         artifacts of one process's try
    runs/<run_id>/train/checkpoint-<n>.json       create-once: how far a fit over batches has come
    runs/<run_id>/logs/<step>-<number>.txt        what an attempt wrote to stderr
    runs/<run_id>/logs/<step>-<number>.json       where the attempt ran, on Kubernetes
    runs/<run_id>/logs/pause.json                 what the run waits for before its next attempt
    runs/<run_id>/logs/push.json                  why the run's metrics were not pushed
    runs/<run_id>/logs/webhook.json               why the webhook does not know of the run's end
    runs/<run_id>/outcome.json                    create-once
    data/<run_id>/<attempt>/<name>                parts, updates, quarantine, profile
    versions/<run_id>.json                        create-once
    history/<generation>.json                     create-once, one per move of the champion
    refs/<name>.json                              mutable, compare-and-swap
"""

from typing import Final, Literal

RefName = Literal["champion", "verdict", "snapshot", "lock", "owner", "exclusions", "quarantine", "told"]

RUNS: Final = "runs/"
VERSIONS: Final = "versions/"
HISTORY: Final = "history/"
DATA: Final = "data/"
PREDICTIONS: Final = "predictions/"
PROBE: Final = ".probe/"  # at the store's root, beside the pipelines


def run_record(run_id: str) -> str:
    return f"runs/{run_id}/run.json"


def pipeline_file(run_id: str) -> str:
    return f"runs/{run_id}/refit.yaml"


def templates(run_id: str) -> str:
    return f"runs/{run_id}/templates.json"


def manifest(run_id: str, step: str) -> str:
    return f"runs/{run_id}/{step}.json"


def artifact(run_id: str, step: str, attempt: str, name: str) -> str:
    return f"runs/{run_id}/{step}/{attempt}/{name}"


def step_folder(run_id: str, step: str) -> str:
    """All of a step's objects below runs/ but its manifest."""
    return f"runs/{run_id}/{step}/"


def checkpoint(run_id: str, number: int) -> str:
    return f"runs/{run_id}/train/checkpoint-{number}.json"


def is_checkpoint(key: str) -> bool:
    """Whether it is a checkpoint's document, or the state that it names."""
    return key.startswith(RUNS) and key.split("/")[2] == "train" and key.rpartition("/")[2].startswith("checkpoint-")


def data(run_id: str, attempt: str, name: str) -> str:
    return f"data/{run_id}/{attempt}/{name}"


def run_of(key: str) -> str:
    """The run below whose folder the key lies, of runs/ or data/."""
    return key.split("/", 2)[1]


def attempt_log(run_id: str, step: str, number: int) -> str:
    return f"runs/{run_id}/logs/{step}-{number}.txt"


def attempt_place(run_id: str, step: str, number: int) -> str:
    return f"runs/{run_id}/logs/{step}-{number}.json"


def unpushed(run_id: str) -> str:
    return f"runs/{run_id}/logs/push.json"


def pause(run_id: str) -> str:
    return f"runs/{run_id}/logs/pause.json"


def untold(run_id: str) -> str:
    return f"runs/{run_id}/logs/webhook.json"


def run_logs(run_id: str) -> str:
    return f"runs/{run_id}/logs/"


def outcome(run_id: str) -> str:
    return f"runs/{run_id}/outcome.json"


def version(run_id: str) -> str:
    return f"versions/{run_id}.json"


def version_of(key: str) -> str:
    """The version that `version` spelled."""
    return key.removeprefix(VERSIONS).removesuffix(".json")


def history(generation: int) -> str:
    return f"history/{generation}.json"


def ref(name: RefName) -> str:
    return f"refs/{name}.json"
