"""The command line: one verb a file, loaded when it is called. Errors are printed here and nowhere else."""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click

from .. import __version__
from ..errors import SkillsRefreshError

# In the order of `--help`: the verb, the module that holds its command, and what it does.
VERBS = {
    "list": "What skills there are, and what is wrong with them.",
    "check": "Only the problems; ends with 1 for an error or a warning.",
    "show": "One skill: its fields, files and instructions.",
    "prompt": "The text that a model gets to read.",
    "watch": "Follow every change as it happens.",
    "serve": "Watch once, and let everybody follow over HTTP.",
    "doctor": "What is watched, what is left out, what it costs.",
    "completion": "The completion script for a shell.",
}


class _Verbs(click.Group):
    """Imports a verb's module when it is called, so that `--version` and completion stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}_verb")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="skills-refresh")
@click.pass_context
def cli(context: click.Context) -> None:
    """The skills on disk, current at every moment.

    Every verb takes the directories that hold skills; earlier ones win. Without any, those of the configuration are
    taken (skills-refresh.toml, [tool.skills-refresh] in pyproject.toml, SKILLS_REFRESH_ROOTS), or the usual places.

    Try: skills-refresh watch examples/skills
    """
    # What the engine warns of, verbs print themselves; its bugs they do not.
    logging.getLogger("skills_refresh").setLevel(logging.ERROR)
    if os.environ.get("NO_COLOR"):
        context.color = False


def main() -> None:
    """Runs the command line and ends the process: 0 fine, 1 problems found, 2 wrong use or configuration."""
    try:
        status = cli(prog_name="skills-refresh", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SkillsRefreshError as error:
        click.echo(f"skills-refresh: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader has gone; nothing is left to say, and nothing may be flushed to it on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        click.echo(f"skills-refresh: {error.filename or 'standard output'}: {error.strerror}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
