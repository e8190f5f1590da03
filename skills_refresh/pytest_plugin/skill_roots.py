"""Which directories hold the skills that are test items, and what that means for the paths that pytest collects.

`--skills` comes with the paths of a run, or in their place; `skills_roots` acts like `testpaths`: it counts where a run
names no paths, in the directory of the ini file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from ..config import load_config
from ..errors import ConfigError
from .skill_collection import SkillCollection
from .skill_scan import scan_skills


def collect_skills(config: pytest.Config) -> None:
    """Makes `config` collect the skills of the roots that are named. Raises `pytest.UsageError` for a root that is no
    directory, and where a library or the configuration does not do."""
    try:
        import markdown_it  # noqa: F401 - whether it is there is told before anything is collected
    except ImportError as error:
        raise pytest.UsageError(
            f"--skills: needs {error.name} to read links; run pip install 'skills-refresh[pytest]'"
        ) from error
    try:
        settings = load_config(directory=config.rootpath).settings
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error
    named = _directories(config, "--skills", config.getoption("skills"))
    configured = _directories(config, "skills_roots", config.getini("skills_roots"))
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    wanted = named
    if named and not chosen:
        config.args[:] = []
    elif not chosen and config.invocation_params.dir == config.rootpath:
        wanted = configured
    collection = SkillCollection(
        dict.fromkeys((*named, *configured)),
        lambda root: scan_skills(root, settings),
        wanted=dict.fromkeys(wanted),
        paths=[_absolute(config, argument.partition("::")[0]) for argument in config.args],
        chosen=chosen,
    )
    config.pluginmanager.register(collection, "skills-refresh collection")


def _directories(config: pytest.Config, where: str, roots: Iterable[str | Path]) -> list[Path]:
    paths = [_absolute(config, Path(root).expanduser()) for root in roots]
    for path in paths:
        if not path.is_dir():
            raise pytest.UsageError(f"{where}: {path} is not a directory; name one that holds skills")
    return paths


def _absolute(config: pytest.Config, path: str | Path) -> Path:
    return Path(os.path.abspath(config.invocation_params.dir / path))
