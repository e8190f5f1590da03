"""One scan for the verbs that look once."""

from __future__ import annotations

from ..config import Config
from ..errors import ConfigError
from ..fresh_scan import Scan, scan
from ..model import Snapshot
from .output import sign_of_life


def scan_configured(config: Config) -> Scan:
    """What the configured roots hold, with a sign of life where it takes long."""
    with sign_of_life("reading skills"):
        return scan(config.roots, config.settings)


def refuse_files(config: Config, snapshot: Snapshot) -> None:
    """Raises `ConfigError` where every root is a file: then the command was called wrongly."""
    files = {str(found.path) for found in snapshot.problems if found.code == "root-not-a-directory"}
    if config.roots and files.issuperset(root.path for root in config.roots):
        raise ConfigError(f"{', '.join(sorted(files))}: is a file; name the directory that holds the skills")
