"""A session is told at each turn what differs since its last one, over restarts too."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from skills_refresh import ClosedError, Engine, SavedSession, Session, Skill, Turn, Workspace, watch

from .conftest import SkillsRoot


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def workspace(engine: Engine, skills_root: SkillsRoot) -> Workspace:
    """A workspace with two skills, of one and of two files."""
    skills_root.add("docx")
    skills_root.add("pdf", files={"run.py": "1"})
    return engine.open([skills_root.path])


def told(turn: Turn) -> list[tuple[str | None, str, tuple[str, ...]]]:
    return [(change.skill, change.kind, change.aspects) for change in turn.changes]


def restarted(skills_root: SkillsRoot, saved: object) -> Turn:
    """The first turn of a session that was saved, in another engine."""
    with watch(skills_root.path) as workspace:
        turn = workspace.session(json.loads(json.dumps(saved))).begin()
        turn.changes  # noqa: B018 - while the workspace is open
        return turn


def test_the_first_turn_is_a_fresh_start_with_every_skill_as_added(workspace: Workspace) -> None:
    turn = workspace.session().begin()
    assert turn.snapshot is workspace.snapshot
    assert (turn.previous, turn.prompt_changed) == (None, True)
    assert told(turn) == [
        ("docx", "added", ("catalog", "instructions")),
        ("pdf", "added", ("catalog", "instructions", "files")),
    ]


def test_a_turn_after_which_nothing_happened_has_no_changes(workspace: Workspace) -> None:
    session = workspace.session()
    session.begin()
    for _ in range(3):
        turn = session.begin()
        assert (turn.previous, turn.changes, turn.prompt_changed) == (workspace.version, (), False)
        assert turn.snapshot is workspace.snapshot


def test_a_turn_tells_what_differs_since_the_turn_before_however_many_versions_lie_between(
    workspace: Workspace, skills_root: SkillsRoot
) -> None:
    session = workspace.session()
    first = session.begin()
    skills_root.write("pdf/run.py", "2")
    workspace.sync()
    skills_root.add("xlsx")
    workspace.sync()
    turn = session.begin()
    assert turn.previous == first.snapshot.version
    assert told(turn) == [("pdf", "changed", ("files",)), ("xlsx", "added", ("catalog", "instructions"))]
    assert turn.changes[0].paths == (skills_root.path / "pdf/run.py",)
    assert turn.prompt_changed
    assert session.begin().changes == ()


def test_changes_that_another_thread_makes_at_the_same_moment_are_the_same(
    workspace: Workspace, skills_root: SkillsRoot
) -> None:
    class Overtaken(Turn):
        """Each time it looks whether there are changes, another thread makes them just after."""

        def __getattribute__(self, name: str) -> object:
            found = super().__getattribute__(name)
            if name == "_changes" and found is None:
                self._changes, self._before = (), None
            return found

    before = workspace.snapshot
    skills_root.add("docx", body="Other.\n")
    turn = Overtaken(workspace.sync(), before, before.version, prompt_changed=False)
    assert told(turn) == [("docx", "changed", ("instructions",))]


def test_a_turn_keeps_its_snapshot_whatever_is_edited_meanwhile(workspace: Workspace, skills_root: SkillsRoot) -> None:
    turn = workspace.session().begin()
    skills_root.add("docx", body="Other.\n")
    workspace.sync()
    assert turn.snapshot.skills["docx"].instructions() == "Do it.\n"
    assert told(turn)[0] == ("docx", "added", ("catalog", "instructions"))


def test_an_edit_below_the_frontmatter_leaves_the_prompt(workspace: Workspace, skills_root: SkillsRoot) -> None:
    session = workspace.session()
    session.begin()
    skills_root.add("docx", body="Other.\n")
    workspace.sync()
    turn = session.begin()
    assert (told(turn), turn.prompt_changed) == ([("docx", "changed", ("instructions",))], False)


def test_a_prompt_that_was_another_one_between_two_turns_is_the_same(
    workspace: Workspace, skills_root: SkillsRoot
) -> None:
    session = workspace.session()
    first = session.begin()
    for description in ("Other.", "Does it."):
        skills_root.add("docx", description=description)
        workspace.sync()
    turn = session.begin()
    assert turn.snapshot.prompt_version > first.snapshot.prompt_version
    assert turn.snapshot.prompt() == first.snapshot.prompt()
    assert not turn.prompt_changed


def test_sessions_of_one_workspace_know_nothing_of_each_other(workspace: Workspace, skills_root: SkillsRoot) -> None:
    early, late = workspace.session(), workspace.session()
    early.begin()
    skills_root.add("docx", body="Other.\n")
    workspace.sync()
    assert late.begin().previous is None
    assert told(early.begin()) == [("docx", "changed", ("instructions",))]


def test_what_is_hidden_and_shown_is_told_as_removed_and_added(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("docx")
    reasons: dict[str, str] = {}

    def check(skill: Skill) -> str | None:
        return reasons.get(skill.name)

    workspace = engine.open([skills_root.path], eligible=check)
    session = workspace.session()
    session.begin()
    for reason, kind in (("no reader", "removed"), (None, "added")):
        reasons.update({"docx": reason} if reason else {})
        reasons.pop("docx") if reason is None else None
        workspace.invalidate()
        turn = session.begin()
        assert ([item[:2] for item in told(turn)], turn.prompt_changed) == ([("docx", kind)], True)


def test_a_session_of_a_closed_workspace_goes_on_with_its_last_snapshot(workspace: Workspace) -> None:
    session = workspace.session()
    session.begin()
    workspace.close()
    assert (session.begin().snapshot, session.begin().changes) == (workspace.snapshot, ())


def test_a_workspace_that_was_not_started_has_no_sessions(skills_root: SkillsRoot) -> None:
    with pytest.raises(ClosedError, match="was not started"):
        watch(skills_root.path).session()


def test_a_session_has_nothing_to_save_before_its_first_turn(workspace: Workspace) -> None:
    assert workspace.session().saved is None
    session = workspace.session()
    session.begin()
    saved = session.saved
    assert saved is not None
    assert SavedSession(*json.loads(json.dumps(saved))) == saved
    assert saved.version == workspace.version
    assert workspace.session(saved).saved == saved


def test_a_saved_session_is_told_exactly_what_differs_where_its_version_is_known(
    workspace: Workspace, skills_root: SkillsRoot
) -> None:
    session = workspace.session()
    session.begin()
    saved = session.saved
    assert saved is not None
    skills_root.write("pdf/run.py", "2")
    workspace.sync()
    turn = workspace.session(list(saved)).begin()
    assert (turn.previous, told(turn)) == (saved.version, [("pdf", "changed", ("files",))])
    assert not turn.prompt_changed


def test_nothing_differs_after_a_restart_in_which_nothing_did(workspace: Workspace, skills_root: SkillsRoot) -> None:
    session = workspace.session()
    session.begin()
    saved = session.saved
    assert saved is not None
    turn = restarted(skills_root, saved)
    assert turn.snapshot.version > saved.version
    assert (turn.previous, turn.changes, turn.prompt_changed) == (saved.version, (), False)


def test_the_second_turn_after_a_restart_follows_the_first(workspace: Workspace, skills_root: SkillsRoot) -> None:
    session = workspace.session()
    session.begin()
    with watch(skills_root.path) as again:
        resumed = again.session(session.saved)
        assert [resumed.begin().previous for _ in range(3)] == [workspace.version, again.version, again.version]


@pytest.mark.parametrize(
    ("path", "content", "prompt_changed"),
    [
        ("pdf/run.py", "2", False),
        ("notes.md", "a file of no skill", False),
        ("docx/SKILL.md", "---\nname: docx\ndescription: Does it.\n---\n\nOther.\n", False),
        ("docx/SKILL.md", "---\nname: docx\ndescription: Other.\n---\n\nDo it.\n", True),
    ],
    ids=["a file", "a loose file", "instructions", "a description"],
)
def test_a_restart_in_which_something_changed_is_a_fresh_start_that_says_whether_the_prompt_is_the_same(
    workspace: Workspace, skills_root: SkillsRoot, path: str, content: str, prompt_changed: bool
) -> None:
    session = workspace.session()
    session.begin()
    saved = session.saved
    workspace.close()
    skills_root.write(path, content)
    turn = restarted(skills_root, saved)
    assert (turn.previous, turn.prompt_changed) == (None, prompt_changed)
    assert [item[:2] for item in told(turn)][:2] == [("docx", "added"), ("pdf", "added")]


def test_the_version_of_another_engine_is_not_taken_for_ones_own(workspace: Workspace) -> None:
    other = SavedSession(workspace.version, "sha256:of others", "sha256:of others")
    turn = workspace.session(other).begin()
    assert (turn.previous, turn.prompt_changed) == (None, True)


def test_a_change_between_resuming_and_the_first_turn_is_told(workspace: Workspace, skills_root: SkillsRoot) -> None:
    session = workspace.session()
    session.begin()
    saved = session.saved
    with watch(skills_root.path) as again:
        resumed = again.session(saved)
        skills_root.add("docx", body="Other.\n")
        again.sync()
        turn = resumed.begin()
        assert (told(turn), turn.prompt_changed) == ([("docx", "changed", ("instructions",))], False)


@pytest.mark.parametrize("saved", [[], [1, 2, 3], "abc", ["1", "a", "b"], {"version": 1}, 5, [1, "a", "b", "c"]])
def test_a_saved_session_that_cannot_be_understood_is_a_fresh_start_and_logged(
    workspace: Workspace, saved: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    turn = workspace.session(saved).begin()
    assert (turn.previous, turn.prompt_changed, len(turn.changes)) == (None, True, 2)
    assert "a saved session cannot be understood" in caplog.text


def test_a_turn_shows_what_it_is(workspace: Workspace) -> None:
    session: Session = workspace.session()
    session.begin()
    version = workspace.version
    assert repr(session.begin()) == f"<Turn {version} to {version}: 0 changes, prompt the same>"


def test_after_a_restart_a_prompt_of_the_same_skills_that_is_rendered_otherwise_has_changed(
    workspace: Workspace, skills_root: SkillsRoot
) -> None:
    session = workspace.session()
    session.begin()
    assert session.saved is not None
    for saved in (session.saved, session.saved._replace(version=1)):
        with watch(skills_root.path) as other:
            resumed = other.session(saved._replace(prompt="sha256:of another release's text"))
            turn = resumed.begin()
            assert (turn.previous, turn.changes, turn.prompt_changed) == (saved.version, (), True)
            assert not resumed.begin().prompt_changed
