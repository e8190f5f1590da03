"""Which directories hold the skills that are test items, and what that means for the paths that pytest collects.

`--skills` comes with the paths of a run, or in their place; `skills_roots` acts like `testpaths`: it counts where a run
names no paths, in the directory of the ini file.
"""

from __future__ import annotations

import os
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
    if hasattr(config, "workerinput"):
        roots, added = SkillCollection.of_controller(config.workerinput)
    else:
        roots, added = _roots(config)
    collection = SkillCollection(roots, lambda root: scan_skills(root, settings), only_skills=added)
    config.pluginmanager.register(collection, "skills-refresh collection")


def _roots(config: pytest.Config) -> tuple[list[Path], list[Path]]:
    """All roots, and those of them that were added to pytest's paths."""
    named = [_directory(config, "--skills", root) for root in config.getoption("skills")]
    configured = [_directory(config, "skills_roots", root) for root in config.getini("skills_roots")]
    return list(dict.fromkeys((*named, *configured))), _add_paths(config, named, configured)


def _directory(config: pytest.Config, where: str, root: str | Path) -> Path:
    path = Path(os.path.abspath(config.invocation_params.dir / Path(root).expanduser()))
    if not path.is_dir():
        raise pytest.UsageError(f"{where}: {path} is not a directory; name one that holds skills")
    return path


def _add_paths(config: pytest.Config, named: list[Path], configured: list[Path]) -> list[Path]:
    """Adds the roots that pytest would not come to by itself to its paths, and returns them."""
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    wanted = named
    if named and not chosen:
        config.args[:] = []
    elif not chosen and config.invocation_params.dir == config.rootpath:
        wanted = configured
    given = [Path(os.path.abspath(config.invocation_params.dir / arg.partition("::")[0])) for arg in config.args]
    added = [
        root
        for root in dict.fromkeys(wanted)
        if not any(path.is_relative_to(root) or root.is_relative_to(path) for path in given)
        and not any(root.is_relative_to(other) for other in wanted if other != root)
    ]
    config.args.extend(map(str, added))
    return added
