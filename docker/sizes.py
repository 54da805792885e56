"""What images weigh: `python3 docker/sizes.py IMAGE:TAG …` prints MB (of 10^6 bytes) beyond the base image.

`shared` is what another image of the list holds too, in the same layer: it is stored and pulled once.
"""

import json
import subprocess
import sys
from collections import Counter

FIRST = "venv --without-pip /opt/refit"
"""In the command of the first layer that is refit's own."""

Layers = dict[str, int]


def layers(image: str) -> Layers:
    """Bytes of each layer of the image that does not belong to its base, by what made it."""
    command = ["docker", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", image]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: Layers = {}
    for layer in map(json.loads, told.stdout.splitlines()):
        found[f"{layer['CreatedAt']} {layer['CreatedBy']}"] = int(layer["Size"])
        if FIRST in layer["CreatedBy"]:
            return found
    raise SystemExit(f"{image} was not built by docker/Dockerfile")


def weights(images: dict[str, Layers]) -> dict[str, tuple[int, int]]:
    """For each image the bytes beyond its base, and how many of them lie in layers that others have too."""
    holders = Counter(layer for found in images.values() for layer in found)
    return {
        image: (sum(found.values()), sum(size for layer, size in found.items() if holders[layer] > 1))
        for image, found in images.items()
    }


def main(names: list[str]) -> None:
    images = {name: layers(name) for name in names}
    print(f"{'image':<24} {'MB':>6} {'shared':>7}   beyond the base")
    for name, (weight, shared) in weights(images).items():
        print(f"{name:<24} {weight / 1e6:>6.0f} {shared / 1e6:>7.0f}")
    together = {layer: size for found in images.values() for layer, size in found.items()}
    print(f"{'together':<24} {sum(together.values()) / 1e6:>6.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
