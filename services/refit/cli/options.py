"""The options and arguments that commands share, each spelled once."""

from collections.abc import Callable
from typing import Any, Final

import click

WAIT_SECONDS: Final = 120
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def example(*lines: str) -> str:
    """The epilog of a command: lines that can be typed as they stand."""
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", head, *(f"  {line}" for line in lines)])


def _complete_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from refit.cli.place import names, open_root
    from refit.core.errors import RefitError

    try:
        return [name for name in names(open_root(None)) if name.startswith(begun)]
    except RefitError:
        return []


def _reason(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.strip():
        raise click.BadParameter("say why in a few words: the history keeps it")
    return value.strip()


store_option: Final[Decorator] = click.option(
    "--store",
    envvar="REFIT_STORE",
    metavar="URL",
    help="s3://bucket/prefix or file:///dir; default REFIT_STORE, else .refit/store in this folder.",
)
json_option: Final[Decorator] = click.option(
    "--json", "as_json", is_flag=True, help="Answer with exactly one JSON document."
)
executor_option: Final[Decorator] = click.option(
    "--executor",
    type=click.Choice(["local", "kubernetes"]),
    default="local",
    show_default=True,
    help="Where steps run; kubernetes: as Jobs of the release REFIT_RELEASE.",
)
wait_option: Final[Decorator] = click.option(
    "--wait",
    type=click.IntRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run of the pipeline.",
)
why_option: Final[Decorator] = click.option("--reason", "why", metavar="TEXT", help="Why; kept with the run.")
reason_option: Final[Decorator] = click.option(
    "--reason", required=True, callback=_reason, metavar="TEXT", help="Why; the history keeps it."
)
name_argument: Final[Decorator] = click.argument("target", metavar="NAME", shell_complete=_complete_names)
optional_reason_option: Final[Decorator] = click.option(
    "--reason", callback=_reason, metavar="TEXT", help="Why; the list of exclusions keeps it."
)
optional_name_argument: Final[Decorator] = click.argument(
    "target", metavar="[NAME]", required=False, shell_complete=_complete_names
)
run_id_argument: Final[Decorator] = click.argument("run_id", metavar="RUN_ID")
