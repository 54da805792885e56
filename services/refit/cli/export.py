"""`refit export`: a version's model with a script that loads it."""

from pathlib import Path

import click

from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option, name_argument, store_option
from refit.cli.place import find


@click.command(epilog=example("refit export flight-delays model", "pip install -r model/requirements.txt"))
@name_argument
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--version", metavar="VERSION", help="A version; default: the champion.")
@store_option
@json_option
def export(target: str, folder: Path, version: str | None, store: str | None, as_json: bool) -> None:
    """Writes a model of pipeline NAME into the new folder DIR, with a script that loads and uses it.

    The script needs scikit-learn, pandas and skops, not refit (except where outliers are clipped);
    requirements.txt names the versions.
    """
    place = find(target, store)
    from refit.predict.champion import open_model
    from refit.predict.export import export_model

    model = open_model(place.store, place.name, version)
    for note in model.notes:
        talk(f"note: {note}")
    files = export_model(model, folder)
    if as_json:
        say_json(
            {
                "format": 1,
                "pipeline": place.name,
                "version": model.version.version,
                "files": [str(file) for file in files],
            }
        )
    else:
        say(f"{model.version.version} of {place.name} is in {folder}: {', '.join(file.name for file in files)}")
        say(f"use it with: pip install -r {folder / 'requirements.txt'} && python {folder / 'predict.py'} ROWS.csv")
