"""`skills-refresh serve`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click

from ..config import TOKEN_VARIABLE
from ..errors import ConfigError
from .options import read_config, root_arguments

# The modules that the extra brings, and no other extra.
_NEEDED = ("fastapi", "uvicorn", "httptools", "prometheus_client")
_MISSING = "pip install 'skills-refresh[serve]'"


@click.command("serve")
@root_arguments
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65_535), help="The port; 0 for any.")
@click.option("--uds", type=click.Path(path_type=Path), help="Listen at this socket file instead; its owner alone may.")
@click.option("--fd", type=int, help="Take this descriptor, which listens already.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help=f"Ask for the token in this file ({TOKEN_VARIABLE})."
)
@click.option(
    "--insecure", is_flag=True, help="Let everybody who reaches another address than 127.0.0.1 read all skills."
)
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name by which the server is reached.")
@click.option("--allow-origin", multiple=True, metavar="URL", help="An origin whose pages may use the server.")
@click.option("--max-followers", default=2_000, show_default=True, type=click.IntRange(1), help="How many may follow.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to log."
)
def command(
    host: str,
    port: int,
    uds: Path | None,
    fd: int | None,
    token_file: Path | None,
    insecure: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    max_followers: int,
    log_format: Any,
    **arguments: Any,
) -> None:
    """Watch once, and let gateways in any language follow over HTTP, and people on a page, until Ctrl-C.

    A signal HUP reads the configuration again. What it answers is described at /openapi.json.
    """
    try:
        # Imported here, because nothing else needs what the extra brings.
        from ..server.access import Access
        from ..server.log_lines import set_up_logging
        from ..server.running import Service, run
        from ..server.sockets import Address, describe, is_private, listen
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        click.echo(_MISSING, err=True)
        raise click.exceptions.Exit(2) from error
    set_up_logging(log_format)
    token = _token(token_file)
    read_config(dict(arguments))  # what is wrong with it is told before anything listens
    listeners = listen(Address(host, port, uds, fd))
    try:
        public = [listener for listener in listeners if not is_private(listener)]
        if public and token is None:
            _refuse_or_warn(describe(public[0]), insecure)
        access = Access(
            token, frozenset({host.lower(), *(name.lower() for name in allow_host)}), frozenset(allow_origin)
        )
        run(lambda: Service(lambda: read_config(dict(arguments)), listeners, access, max_followers=max_followers))
    finally:
        if uds is not None:
            uds.unlink(missing_ok=True)


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--token-file {file}: cannot be read; name a file that holds the token alone") from error
    if not token:
        raise ConfigError(f"--token-file {file}: is empty; write a token into it")
    return token


def _refuse_or_warn(where: str, insecure: bool) -> None:
    if not insecure:
        raise ConfigError(
            f"{where}: others can reach it, so it needs a token; set {TOKEN_VARIABLE}, or name a --token-file, "
            "or let everybody read all skills with --insecure"
        )
    # By the log, whose lines programs may read.
    logging.getLogger("skills_refresh.server").warning(
        "everybody who reaches %s can read all skills, since --insecure was given", where
    )
