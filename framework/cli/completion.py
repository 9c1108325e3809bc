"""`framework completion SHELL`: the script that completes commands, flags and files in a shell."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_FRAMEWORK_COMPLETE"
"""The variable by which the script asks the command what could come next."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that completes commands in bash, zsh or fish.

    \b
    bash   framework completion bash > ~/.framework-complete.bash, and source that file in ~/.bashrc
    zsh    framework completion zsh > ~/.framework-complete.zsh, and source that file in ~/.zshrc
    fish   framework completion fish > ~/.config/fish/completions/framework.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from framework.cli.app import app

    class_of_shell = get_completion_class(shell)
    if class_of_shell is None:
        raise click.UsageError(f"no completion for {shell!r}; there is one for {', '.join(SHELLS)}")
    complete: ShellComplete = class_of_shell(app, {}, "framework", VARIABLE)
    click.echo(complete.source_template % complete.source_vars())
    return 0
