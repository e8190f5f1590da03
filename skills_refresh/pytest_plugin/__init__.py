"""The pytest plugin: fixtures for those who write gateways and tools, and test items for those who write skills.

Where the library is installed, every run of pytest loads this module. So it imports pytest and nothing else: the engine
comes with the first fixture that needs it, the checks of skills with the first root that is named. No module beside it
may be called like a fixture: importing it would put it in the fixture's place.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .editing import SkillsRoot
    from .expectations import Expectation
    from .leaks import LeakCheck
    from .workspaces import ExpectingWorkspace, SkillsFactory

__all__ = ["Expectation", "ExpectingWorkspace", "SkillsFactory", "SkillsRoot"]

_MODULES = {
    "Expectation": "expectations",
    "ExpectingWorkspace": "workspaces",
    "SkillsFactory": "workspaces",
    "SkillsRoot": "editing",
}
_LEAK_CHECK: pytest.StashKey[LeakCheck] = pytest.StashKey()


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--skills` and its ini key."""
    group = parser.getgroup("skills-refresh", "skills (skills-refresh)")
    group.addoption(
        "--skills",
        action="append",
        default=[],
        metavar="DIR",
        help="make a test item of each SKILL.md below DIR: its frontmatter, links and scripts are checked (may be "
        "repeated). With paths of tests, beside them; with none, instead of them. What .skillsignore or the "
        "configuration of skills-refresh leaves out is left out; severity info does not fail. Needs "
        "skills-refresh[pytest].",
    )
    parser.addini(
        "skills_roots",
        type="paths",
        default=[],
        help="directories whose SKILL.md files become test items, as by --skills, beside the tests of every run that "
        "names no paths; relative to this file",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Names the marker, and arranges for the skills to be collected where roots are named."""
    config.addinivalue_line(
        "markers", "skill: put on the items that --skills and skills_roots make; -m 'not skill' leaves them out."
    )
    if config.getoption("skills") or config.getini("skills_roots"):
        from .skill_roots import collect_skills

        collect_skills(config)


@pytest.fixture
def skills_root(tmp_path: Path) -> SkillsRoot:
    """An empty directory for skills, with add, edit, remove, rename and break_."""
    from .editing import SkillsRoot

    return SkillsRoot(tmp_path / "skills")


@pytest.fixture
def skills_factory(request: pytest.FixtureRequest, skills_root: SkillsRoot) -> Iterator[SkillsFactory]:
    """A function that opens workspaces like `skills`, on given roots and settings. After the test they are closed, and
    kernel watches, files of skills and listeners that are left behind are an error."""
    from .leaks import LeakCheck
    from .workspaces import SkillsFactory

    request.node.stash[_LEAK_CHECK] = leak_check = LeakCheck()
    with ExitStack() as stack:
        yield SkillsFactory(skills_root, leak_check, stack)


@pytest.fixture
def skills(skills_factory: SkillsFactory) -> ExpectingWorkspace:
    """A live workspace on skills_root, with expect_change and expect_no_change."""
    return skills_factory()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Looks for what is left behind when every fixture of the test is gone, whichever was there first.

    Not as a wrapper: the new form of these would break every run with a pluggy before 1.2, and the old one may not
    raise.
    """
    if _LEAK_CHECK in item.stash:
        left = item.stash[_LEAK_CHECK].settled()
        if left:
            what = "\n".join(f"  {line}" for line in left)
            pytest.fail(f"left behind by the test; close what it opened:\n{what}", pytrace=False)
