"""`refit`: the commands by name, each imported only when it is used.

To add a command: a line in COMMANDS, and a click command in the module it names that
  - raises the errors of core/errors.py and writes none of them itself,
  - takes `--json` (options.json_option) and then answers with exactly one document (answer.say_json),
  - says its answer with answer.say and everything else with answer.talk,
  - has an example in its help (options.example).
"""

import difflib
import importlib
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final, NamedTuple

import click

from refit.cli.answer import hush
from refit.cli.failure import outcome_of
from refit.cli.session import Session, without_traceback_flag
from refit.core.about import __version__


class Lazy(NamedTuple):
    """Where a command stands, and what it does, known without importing it."""

    place: str
    does: str


COMMANDS: Final[dict[str, Lazy]] = {
    "init": Lazy("refit.cli.init:init", "Writes a first pipeline file from a live table."),
    "check": Lazy("refit.cli.check:check", "Finds every fault of a pipeline file at once."),
    "schema": Lazy("refit.cli.check:schema", "Prints the JSON schema of the pipeline file."),
    "plan": Lazy("refit.cli.plan:plan", "Says what a run would do now; changes nothing."),
    "run": Lazy("refit.cli.run:run", "Retrains, judges and, when it can be trusted, promotes."),
    "rerun": Lazy("refit.cli.rerun:rerun", "Repeats a run that failed, or any, from some step on."),
    "step": Lazy("refit.cli.step:step", "Runs one step of a run, as a pod does."),
    "status": Lazy("refit.cli.status:status", "Shows what is in production and what comes next."),
    "runs": Lazy("refit.cli.runs:runs", "Lists the runs of a pipeline."),
    "show": Lazy("refit.cli.show:show", "Shows one run: verdict, reasons, rows, steps, files."),
    "logs": Lazy("refit.cli.logs:logs", "Prints what the steps of a run logged."),
    "diff": Lazy("refit.cli.diff:diff", "Compares two runs: file, rows and columns, scores, versions."),
    "history": Lazy("refit.cli.history:history", "Lists every move of the champion."),
    "metrics": Lazy("refit.cli.metrics:metrics", "Prints or pushes what Prometheus is told of a pipeline."),
    "promote": Lazy("refit.cli.moves:promote", "Makes a version the champion by hand."),
    "rollback": Lazy("refit.cli.moves:rollback", "Goes back to an earlier champion and holds promotions."),
    "release": Lazy("refit.cli.moves:release", "Lifts the hold that a rollback sets."),
    "exclude": Lazy("refit.cli.exclude:exclude", "Leaves rows out of all later runs, or takes that back."),
    "quarantine": Lazy("refit.cli.quarantine:quarantine", "Lists bad rows, shows, releases or drops them."),
    "predict": Lazy("refit.cli.predict:predict", "Writes the champion's predictions for a file of rows."),
    "export": Lazy("refit.cli.export:export", "Writes a version's model with a script that loads it."),
    "gc": Lazy("refit.cli.gc:gc", "Deletes what a pipeline does not need any more."),
    "delete": Lazy("refit.cli.gc:delete", "Deletes a pipeline with all that it has."),
    "demo": Lazy("refit.demo.command:demo", "Retrains on real flights for eight weeks, on this machine."),
    "completion": Lazy("refit.cli.completion:completion", "Prints the shell's completion script."),
}

EPILOG: Final = """\b
First steps:
  refit demo                        watch it work on real data
  refit init --table T --target Y   a first file from a table of yours
  refit check refit.yaml            every fault of your file at once
  refit plan refit.yaml             what a run would do now
  refit run refit.yaml              one retraining run
  refit status                      what is in production

\b
Exit codes: 0 done (promoted, rejected, skipped, awaiting approval), 64 file or usage, 65 data,
66 stored object, 70 fault of refit, 74 disk, 75 database or bucket away, 77 permission,
79 superseded, 143 ended by SIGTERM or Ctrl-C.

\b
Completion:  eval "$(refit completion bash)"    (or zsh; fish: refit completion fish | source)
"""


class Refit(click.Group):
    """The group: lazy commands, and the one way in which all of them end."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean refit {near[0]}?" if near else ""
            raise click.UsageError(f"there is no command {args[0][:40]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.does) for name, lazy in COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError as error:  # the help's reader has gone; click would end with 1
            hush()
            raise click.exceptions.Exit from error

    def invoke(self, ctx: click.Context) -> Any:
        from refit.core.logs import one_call

        ctx.ensure_object(Session).until_told.enter_context(one_call())
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            hush()

    def main(  # type: ignore[override]  # click's overloads tell apart what this class does not
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> int:
        """The command has ended and its code is the process's; without `standalone_mode` it is returned."""
        arguments = list(sys.argv[1:] if args is None else args)
        session = Session.of(arguments)
        words = without_traceback_flag(arguments)
        with session.until_told:
            try:
                ended = super().main(words, prog_name, complete_var, standalone_mode=False, obj=session, **extra)
                code = ended if isinstance(ended, int) else 0
            except BaseException as error:  # noqa: BLE001  the one place where every command ends
                code = outcome_of(error, session)
        if standalone_mode:
            sys.exit(code)
        return code


@click.group(cls=Refit, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="refit", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where a failure came from.")
def refit() -> None:
    """Retrains scikit-learn models and promotes a new one only when it can be trusted."""


def main() -> None:
    """The console script."""
    _end_on_sigterm()
    refit(prog_name="refit")


def _end_on_sigterm() -> None:
    """The first SIGTERM raises Sigterm in the main thread, so that what is open is closed; others wait."""

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        from refit.core.errors import Sigterm

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Sigterm

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)
