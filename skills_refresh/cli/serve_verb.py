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

    Needs the extra: pip install 'skills-refresh[serve]'. A signal HUP reads the configuration and the token's file
    again; systemd may pass the socket on. What it answers is described at /openapi.json.
    """
    try:
        # Imported here, because nothing else needs what the extra brings.
        from ..server.access import Access, checked_host, checked_origin
        from ..server.log_lines import set_up_logging
        from ..server.running import Service, run
        from ..server.sockets import Address, describe, is_private, listen, remover
    except ModuleNotFoundError as error:
        if (error.name or "skills_refresh").partition(".")[0] == "skills_refresh":
            raise  # a bug of ours, and nothing that the extra brings
        click.echo(_MISSING, err=True)
        raise click.exceptions.Exit(2) from error
    set_up_logging(log_format)
    hosts = frozenset({host.lower(), *(checked_host(name, "--allow-host") for name in allow_host)})
    origins = frozenset(checked_origin(url, "--allow-origin") for url in allow_origin)

    def read_access() -> Access:
        return Access(_token(token_file), hosts, origins)

    read_config(dict(arguments))  # what is wrong with it is told before anything listens
    listeners = listen(Address(host, port, uds, fd))
    # A socket that systemd passed on is systemd's.
    own_file = next((uds for listener in listeners if uds is not None and listener.getsockname() == str(uds)), None)
    remove = None if own_file is None else remover(own_file)
    try:
        public = [listener for listener in listeners if not is_private(listener)]
        if public and read_access().token is None:
            _refuse_or_warn(describe(public[0]), insecure)
        run(lambda: Service(lambda: read_config(dict(arguments)), listeners, read_access, max_followers=max_followers))
    finally:
        if remove is not None:
            remove()


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
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
