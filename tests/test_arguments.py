"""What callers may give wrong: each says so at the call, and nothing else comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import ConfigError, Engine, Root, Settings, Workspace, scan, watch

from .conftest import SkillsRoot

NUMBERS = ["max_depth", "max_directories", "max_skills", "max_skill_bytes"]


@pytest.mark.parametrize("name", ["extensions", "names", "exclude"])
@pytest.mark.parametrize("value", ["drafts/", b"x", None, 3, [3], {"a": 1}])
def test_one_where_several_strings_are_wanted_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is .*; it must be a list of strings$"):
        Settings(**{name: value})


@pytest.mark.parametrize("value", ["/srv/shared", Path("/srv/shared"), [3], None])
def test_one_where_several_paths_are_wanted_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^allow_link_targets is .*; it must be a list of paths$"):
        Settings(allow_link_targets=value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["6", None, 0, -1, 1.5, True])
def test_what_is_no_number_above_0_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is .*; it must be a whole number above 0$"):
        Settings(**{name: value})


def test_a_word_for_poll_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^poll is 'yes'; it must be True, False or None$"):
        Settings(poll="yes")  # type: ignore[arg-type]


def test_lists_become_tuples() -> None:
    given: Any = ["drafts/"]
    assert Settings(exclude=given) == Settings(exclude=("drafts/",))
    targets: Any = ["/srv/shared"]
    assert Settings(allow_link_targets=targets) == Settings(allow_link_targets=(Path("/srv/shared"),))


@pytest.mark.parametrize("take", [Engine, lambda settings: scan("skills", settings)])
@pytest.mark.parametrize("settings", [{"poll": True}, {}])
def test_settings_that_are_none_are_refused(take: Callable[[Any], object], settings: Any) -> None:
    with pytest.raises(ConfigError, match=r"^settings is .*; it must be a Settings"):
        take(settings)


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        (["skills"], r"\['skills'\]: not a path; give each of its paths by itself, as in watch\(\*paths\)"),
        (b"skills", "b'skills': not a path; decode it with os.fsdecode"),
        (3, "3: not a path; name a directory, such as . for this one"),
        (None, "None: not a path; name a directory"),
        ("", "'': not a path; name a directory"),
        (Root(3), "3: not a path; name a directory"),  # type: ignore[arg-type]
        (Root("skills", poll="yes"), "poll of the root skills is 'yes'; it must be True, False or None"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_root_is_refused(roots: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        watch(roots)
    if not isinstance(roots, list):
        with Engine() as engine, pytest.raises(ConfigError, match=f"^{message}"):
            engine.open(roots)


def test_a_root_by_itself_is_one_and_becomes_absolute(skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(skills_root.path.parent)
    with Engine() as engine:
        workspace = engine.open(Root(skills_root.path.name, poll=False))
        assert workspace.roots == (Root(str(skills_root.path), poll=False),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"after": "x"}, "after is 'x'; it must be a version, which is a whole number"),
        ({"after": None}, "after is None; it must be a version"),
        ({"idle_s": "10m"}, "idle_s is '10m'; it must be a number of seconds above 0, or None for never"),
        ({"idle_s": True}, "idle_s is True; it must be a number of seconds above 0"),
    ],
)
def test_a_wrong_argument_of_open_is_refused_and_hurts_no_other_workspace(
    skills_root: SkillsRoot, arguments: Any, message: str
) -> None:
    with Engine() as engine:
        neighbour = engine.open(skills_root.path)
        with pytest.raises(ConfigError, match=f"^{message}"):
            engine.open(skills_root.path, **arguments)
        assert neighbour.health[0].failures == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda workspace: workspace.subscribe(None), "listener is None; it must be a function"),
        (lambda workspace: workspace.subscribe_health("x"), "listener is 'x'; it must be a function"),
        (lambda workspace: workspace.subscribe(print, since="3"), "since is '3'; it must be a version"),
        (lambda workspace: workspace.wait(after="x"), "after is 'x'; it must be a version"),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(
    skills_root: SkillsRoot, call: Callable[[Any], object], message: str
) -> None:
    workspace: Workspace
    with watch(skills_root.path) as workspace:
        with pytest.raises(ConfigError, match=f"^{message}"):
            call(workspace)
        assert not workspace._listeners
