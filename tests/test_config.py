"""Where settings come from, which source wins, and what a mistake in one is answered with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from skills_refresh import ConfigError, Settings
from skills_refresh.config import KEYS, Config, load_config
from skills_refresh.roots import Root, default_roots

# The strongest first.
SOURCES = ("flags", "environment", "project", "user")
SWITCHES: dict[str, str | bool] = {"flags": "true", "environment": "false", "project": "auto", "user": True}
NUMBERS = {source: number for number, source in enumerate(SOURCES, start=11)}


class Place:
    """A working directory with a project's file, and a user's file elsewhere."""

    def __init__(self, base: Path) -> None:
        self.directory = base / "project"
        self.user_directory = base / "config" / "skills-refresh"
        self.directory.mkdir()
        self.user_directory.mkdir(parents=True)
        self.project("")  # so that no file above is looked for

    def project(self, text: str) -> Path:
        path = self.directory / "skills-refresh.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def pyproject(self, text: str) -> Path:
        (self.directory / "skills-refresh.toml").unlink(missing_ok=True)
        path = self.directory / "pyproject.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def user(self, text: str) -> Path:
        path = self.user_directory / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def load(
        self,
        flags: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        config_file: Path | None = None,
        below: str = "",
    ) -> Config:
        return load_config(
            flags, config_file=config_file, directory=self.directory / below, environment=environment or {}
        )

    def error(self, environment: Mapping[str, str] | None = None, *, config_file: Path | None = None) -> str:
        with pytest.raises(ConfigError) as raised:
            self.load(environment=environment, config_file=config_file)
        return str(raised.value)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Place(tmp_path)


def written(key: str, source: str) -> list[str] | str | int:
    """What `source` says for `key`: each source something else than the next."""
    kind = KEYS[key].kind
    if kind == "switch":
        return SWITCHES[source]
    return NUMBERS[source] if kind == "number" else [source if kind == "words" else os.path.join(os.sep, source)]


def in_environment(key: str) -> dict[str, str]:
    value = written(key, "environment")
    return {f"SKILLS_REFRESH_{key.upper()}": value[0] if isinstance(value, list) else str(value)}


def loaded(config: Config, key: str) -> object:
    """The value for `key` as it was written."""
    if KEYS[key].kind == "switch":
        return {True: "true", False: "false", None: "auto"}[getattr(config.settings, key)]
    value = [root.path for root in config.roots] if key == "roots" else getattr(config.settings, key)
    return value if isinstance(value, int) else [str(item) for item in value]


@pytest.mark.parametrize("strongest", SOURCES)
@pytest.mark.parametrize("key", [key for key in KEYS if key != "workspaces"])
def test_the_stronger_source_wins(place: Place, key: str, strongest: str) -> None:
    place.user(f"{key} = {json.dumps(written(key, 'user'))}")
    if strongest != "user":
        place.project(f"{key} = {json.dumps(written(key, 'project'))}")
    config = place.load(
        {key: written(key, "flags")} if strongest == "flags" else {},
        in_environment(key) if strongest in ("flags", "environment") else {},
    )
    expected = written(key, strongest)
    assert loaded(config, key) == ("true" if expected is True else expected)


def test_without_any_source_the_defaults_hold(place: Place) -> None:
    assert place.load() == Config(default_roots(), Settings(), ())


def test_every_key_but_those_of_roots_is_a_field_of_the_settings() -> None:
    assert KEYS.keys() - {"roots", "workspaces"} == {field.name for field in fields(Settings)}


def test_workspaces_have_names_and_roots_relative_to_their_file(place: Place) -> None:
    place.project("roots = ['own']\n[workspaces.alice]\nroots = ['a', {path = 'shared', poll = true}]\n")
    config = place.load()
    assert [root.path for root in config.roots] == [str(place.directory / "own")]
    assert config.workspaces == {
        "alice": (Root(str(place.directory / "a")), Root(str(place.directory / "shared"), poll=True))
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workspaces = ['alice']", "write a table for each: [workspaces.NAME]"),
        ("[workspaces.'a/b']\nroots = ['a']", "a name has letters, digits, - and _ alone"),
        ("[workspaces.alice]\n", "it must be a table with roots = [DIR, …]"),
        ("[workspaces.alice]\nroots = []", "it must be a table with roots = [DIR, …]"),
        ("[workspaces.alice]\nroots = ['a']\nmax_depth = 1", "it must be a table with roots = [DIR, …]"),
    ],
)
def test_a_mistaken_workspace_is_told(place: Place, text: str, said: str) -> None:
    path = place.project(text)
    assert place.error().startswith(f"{path}: workspaces")
    assert said in place.error()


def test_workspaces_cannot_be_set_in_the_environment(place: Place) -> None:
    assert "can be set in a file alone" in place.error({"SKILLS_REFRESH_WORKSPACES": "alice"})


def test_the_token_of_the_server_is_no_setting(place: Place) -> None:
    assert place.load(environment={"SKILLS_REFRESH_TOKEN": "secret"}).sources == ()


def test_each_source_fills_what_stronger_ones_leave_open(place: Place) -> None:
    user = place.user("max_depth = 4\nmax_skills = 4\nnames = ['user']")
    project = place.project("max_depth = 3\nmax_skills = 3")
    config = place.load({"names": ()}, {"SKILLS_REFRESH_MAX_DEPTH": "2"})
    assert config.settings == Settings(max_depth=2, max_skills=3, names=("user",))
    assert config.sources == ("environment", str(project), str(user))


def test_flags_that_were_not_given_do_not_count(place: Place) -> None:
    assert place.load({"max_depth": None, "names": (), "roots": ()}).sources == ()


def test_a_variable_holds_several_values(place: Place) -> None:
    roots = os.pathsep.join([os.path.join(os.sep, "first"), os.path.join(os.sep, "second")])
    config = place.load(environment={"SKILLS_REFRESH_ROOTS": roots, "SKILLS_REFRESH_EXTENSIONS": ".svg, .png,"})
    assert [root.path for root in config.roots] == roots.split(os.pathsep)
    assert config.settings.extensions == (".svg", ".png")


def test_other_variables_are_left_alone(place: Place) -> None:
    assert place.load(environment={"SKILLS": "x", "PATH": "y"}).sources == ()


def test_relative_paths_start_at_the_directory_of_their_file(place: Place) -> None:
    place.project("roots = ['skills', '../shared']")
    place.user("allow_link_targets = ['linked']")
    (place.directory / "deep" / "down").mkdir(parents=True)
    config = place.load(below="deep/down")
    assert [root.path for root in config.roots] == [
        str(place.directory / "skills"),
        str(place.directory.parent / "shared"),
    ]
    assert config.settings.allow_link_targets == (place.user_directory / "linked",)


@pytest.mark.parametrize("source", ["flags", "environment"])
def test_relative_paths_of_flags_and_variables_start_at_the_working_directory(place: Place, source: str) -> None:
    flags = {"roots": ["skills"]} if source == "flags" else {}
    environment = {"SKILLS_REFRESH_ROOTS": "skills"} if source == "environment" else {}
    assert [root.path for root in place.load(flags, environment).roots] == [str(place.directory / "skills")]


def test_a_tilde_is_the_home_directory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place.directory))
    monkeypatch.setenv("USERPROFILE", str(place.directory))
    place.project("roots = ['~/skills']")
    assert [root.path for root in place.load().roots] == [str(place.directory / "skills")]


def test_the_table_in_pyproject_is_a_projects_file(place: Place) -> None:
    pyproject = place.pyproject("[tool.skills-refresh]\nmax_depth = 3\n")
    config = place.load()
    assert config.settings.max_depth == 3
    assert config.sources == (f"{pyproject} [tool.skills-refresh]",)


def test_a_file_of_our_own_is_taken_before_pyproject(place: Place) -> None:
    place.pyproject("[tool.skills-refresh]\nmax_depth = 3\n")
    place.project("max_depth = 2")
    assert place.load().settings.max_depth == 2


def test_the_nearest_file_is_taken_even_where_it_says_nothing(place: Place) -> None:
    place.project("max_depth = 3")
    (place.directory / "package").mkdir()
    (place.directory / "package" / "skills-refresh.toml").touch()
    assert place.load(below="package").settings == Settings()


def test_a_pyproject_without_our_table_does_not_hide_the_file_above(place: Place) -> None:
    place.project("max_depth = 3")
    (place.directory / "package").mkdir()
    (place.directory / "package" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert place.load(below="package").settings.max_depth == 3


@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_a_file_that_is_named_replaces_the_projects(place: Place, named_by: str) -> None:
    place.project("max_depth = 3\nmax_skills = 3")
    named = place.directory / "other.toml"
    named.write_text("max_depth = 2")
    config = (
        place.load(config_file=named)
        if named_by == "argument"
        else place.load(environment={"SKILLS_REFRESH_CONFIG": str(named)})
    )
    assert config.settings == Settings(max_depth=2)


def test_a_byte_order_mark_in_a_file_is_fine(place: Place) -> None:
    place.project("\ufeffmax_depth = 3")
    assert place.load().settings.max_depth == 3


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("root", "roots"), ("extension", "extensions"), ("excludes", "exclude"), ("maxdepth", "max_depth")],
)
def test_an_unknown_key_names_the_nearest_known_one(place: Place, key: str, nearest: str) -> None:
    project = place.project(f"{key} = 1")
    assert place.error() == f"{project}: unknown setting {key!r}; did you mean {nearest!r}?"


def test_an_unknown_key_that_is_near_to_none_names_all(place: Place) -> None:
    place.project("zzz = 1")
    assert place.error().endswith(f"unknown setting 'zzz'; known are {', '.join(KEYS)}")


def test_an_unknown_variable_is_an_error(place: Place) -> None:
    message = place.error({"SKILLS_REFRESH_MAX_DEPT": "1"})
    assert message == "SKILLS_REFRESH_MAX_DEPT: unknown setting 'max_dept'; did you mean 'max_depth'?"


@pytest.mark.parametrize("value", ["'3'", "0", "-1", "1.5", "true", "[3]"])
def test_a_number_must_be_a_whole_number_above_zero(place: Place, value: str) -> None:
    project = place.project(f"max_depth = {value}")
    message = place.error()
    assert message.startswith(f"{project}: max_depth is ")
    assert message.endswith("it must be a whole number above 0")


@pytest.mark.parametrize("value", ["0", "many", "-3", "1.5"])
def test_a_variable_for_a_number_must_hold_one(place: Place, value: str) -> None:
    assert "it must be a whole number above 0" in place.error({"SKILLS_REFRESH_MAX_DEPTH": value})


@pytest.mark.parametrize("key", ["allow_link_targets", "exclude"])
@pytest.mark.parametrize("value", ["'text'", "3", "[3]", "{a = 'b'}"])
def test_a_list_must_hold_strings(place: Place, key: str, value: str) -> None:
    place.project(f"{key} = {value}")
    assert place.error().endswith("it must be a list of strings")


def test_a_root_may_say_how_it_is_watched(place: Place) -> None:
    place.project("roots = ['a', {path = 'b', poll = true}, {path = 'c', poll = false}, {path = 'd', poll = 'auto'}]")
    found = [(os.path.basename(root.path), root.poll) for root in place.load().roots]
    assert found == [("a", None), ("b", True), ("c", False), ("d", None)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'text'", "it must be a list of strings"),
        ("[3]", "roots holds 3; it must be a path, or a table with path and poll"),
        ("[{poll = true}]", "roots holds None; it must be a path, or a table with path and poll"),
        ("[{path = 'a', pol = true}]", "unknown setting 'pol' of a root; known are path, poll"),
        ("[{path = 'a', poll = 'often'}]", "poll is 'often'; it must be true, false or auto"),
    ],
)
def test_a_root_that_is_none_is_an_error(place: Place, value: str, message: str) -> None:
    place.project(f"roots = {value}")
    assert place.error().endswith(message)


def test_a_mistake_in_a_weaker_source_is_told_too(place: Place) -> None:
    user = place.user("max_depth = 'deep'")
    assert place.error({"SKILLS_REFRESH_MAX_DEPTH": "3"}).startswith(f"{user}: max_depth is 'deep'")


@pytest.mark.parametrize("text", ["roots = [", "max_depth = 1\nmax_depth = 2", "= 1"])
def test_broken_toml_is_an_error_that_names_the_file(place: Place, text: str) -> None:
    project = place.project(text)
    assert place.error().startswith(f"{project}: not valid TOML: ")


def test_a_file_that_is_not_utf8_is_an_error_that_names_the_file(place: Place) -> None:
    project = place.project("")
    project.write_bytes(b"names = ['\xff']")
    assert place.error().startswith(f"{project}: not valid TOML: ")


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_named_file_that_cannot_be_read_is_an_error_that_names_it(place: Place, name: str) -> None:
    path = place.directory / name
    assert place.error(config_file=path).startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize("value", ["²", "9" * 5_000], ids=["superscript", "5,000 digits"])
def test_a_variable_for_a_number_that_python_cannot_read_is_an_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        load_config(directory=tmp_path, environment={"SKILLS_REFRESH_MAX_DEPTH": value})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("skills-refresh.toml", f"names = {'[' * 5_000}"),
        ("skills-refresh.toml", 'roots = ["a\\u0000b"]'),
        ("pyproject.toml", "[tool]\nskills-refresh = 3\n"),
    ],
    ids=["nested too deeply", "a NUL byte", "no table"],
)
def test_odd_files_are_errors(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigError):
        load_config(directory=tmp_path, environment={})


def test_a_tilde_in_the_variable_for_the_file_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ours.toml").write_text("max_depth = 3")
    assert load_config(directory=tmp_path, environment={"SKILLS_REFRESH_CONFIG": "~/ours.toml"}).settings.max_depth == 3


def test_an_empty_variable_is_as_if_it_were_not_set(tmp_path: Path) -> None:
    (tmp_path / "skills-refresh.toml").write_text("roots = ['mine']")
    config = load_config(directory=tmp_path, environment={"SKILLS_REFRESH_ROOTS": ""})
    assert [root.path for root in config.roots] == [str(tmp_path / "mine")]
