"""`refit completion`: the script that teaches a shell the commands, options and pipeline names."""

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from refit.cli.answer import say, say_json
from refit.cli.options import example, json_option

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog=example('eval "$(refit completion bash)"', "refit completion fish > ~/.config/fish/completions/refit.fish")
)
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@json_option
def completion(shell: str, as_json: bool) -> None:
    """Prints the completion script of SHELL.

    For good, write its output where the shell reads it at start, like ~/.bashrc.
    """
    root = click.get_current_context().find_root()
    script = SHELLS[shell](root.command, {}, "refit", "_REFIT_COMPLETE").source()
    if as_json:
        say_json({"format": 1, "shell": shell, "script": script})
    else:
        say(script)
