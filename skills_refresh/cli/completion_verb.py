"""`skills-refresh completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """The completion script for a shell.

    For bash, put this into ~/.bashrc: eval "$(skills-refresh completion bash)"
    """
    group = context.find_root().command
    completion = get_completion_class(shell)
    assert completion is not None, "click completes these three shells itself"
    click.echo(completion(group, {}, "skills-refresh", "_SKILLS_REFRESH_COMPLETE").source())
