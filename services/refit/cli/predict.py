"""`refit predict`: the champion's predictions for a file of rows."""

from pathlib import Path

import click

from refit.cli.answer import say, say_json, talk
from refit.cli.options import example, json_option, store_option
from refit.cli.place import find

FILES = click.Path(path_type=Path)


@click.command(epilog=example("refit predict refit.yaml --input flights.csv --output predictions.parquet"))
@click.argument("target", metavar="FILE")
@click.option("--input", "source", required=True, type=FILES, metavar="PATH", help="Rows as Parquet or CSV.")
@click.option("--output", required=True, type=FILES, metavar="PATH", help="Where to write Parquet or CSV.")
@store_option
@json_option
def predict(target: str, source: Path, output: Path, store: str | None, as_json: bool) -> None:
    """Writes the champion's predictions: key, prediction, probability of each class, version.

    FILE is the pipeline file, or a pipeline's name. The rows need the key and the columns that the model takes. In
    CSV an empty cell is NULL, and "" is the empty string.
    """
    place = find(target, store)
    from refit.predict.champion import open_model
    from refit.predict.score import predict_file

    model = open_model(place.store, place.name)
    for note in model.notes:
        talk(f"note: {note}")
    scored = predict_file(model, source, output)
    if as_json:
        say_json(
            {
                "format": 1,
                "pipeline": place.name,
                "version": scored.version,
                "rows": scored.rows,
                "input": str(source),
                "output": str(output),
                "columns": list(scored.columns),
                "notes": list(model.notes),
            }
        )
    else:
        say(f"{scored.rows:,} rows scored by {scored.version}: {output}")
