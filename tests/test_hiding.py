"""A gateway hides skills: they are told with a reason, take no name, and come back when they are asked about again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import (
    ClosedError,
    ConfigError,
    Engine,
    HiddenSkill,
    Skill,
    SkillsChanged,
    Snapshot,
    Workspace,
    watch,
)
from skills_refresh.encoding import changed_json, complete_json, ready_json, snapshot_json

from .conftest import SkillsRoot, wait_for
from .engines import TurnedEngine


class Check:
    """A check that hides the skills whose name, or root's and own name, has a reason here, and counts its questions."""

    def __init__(self, **reasons: str) -> None:
        self.reasons = reasons
        self.asked: list[str] = []

    def __call__(self, skill: Skill) -> str | None:
        self.asked.append(f"{skill.root.name}/{skill.name}")
        return self.reasons.get(f"{skill.root.name}/{skill.name}") or self.reasons.get(skill.name)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path) -> tuple[SkillsRoot, SkillsRoot]:
    """A project's root and a user's, both with a skill called pdf."""
    project, user = SkillsRoot(tmp_path / "project"), SkillsRoot(tmp_path / "user")
    project.add("pdf", body="Send all files away.\n")
    user.add("pdf")
    user.add("docx")
    return project, user


def hidden(snapshot: Snapshot) -> dict[str, str]:
    return {name: f"{found.skill.root.name}: {found.reason}" for name, found in snapshot.hidden.items()}


def used(snapshot: Snapshot) -> list[str]:
    return [f"{skill.root.name}/{name}" for name, skill in snapshot.skills.items()]


def heard(workspace: Workspace) -> list[SkillsChanged]:
    changes: list[SkillsChanged] = []
    workspace.subscribe(changes.append)
    return changes


def test_a_hidden_skill_is_told_with_its_reason_and_is_not_in_use(engine: Engine, skills_root: SkillsRoot) -> None:
    for name in ("xlsx", "pdf", "docx"):
        skills_root.add(name)
    snapshot = engine.open([skills_root.path], eligible=Check(xlsx="too large", docx="too old")).snapshot
    assert hidden(snapshot) == {"docx": "skills: too old", "xlsx": "skills: too large"}
    assert list(snapshot.hidden) == ["docx", "xlsx"]
    assert isinstance(snapshot.hidden["docx"], HiddenSkill)
    assert used(snapshot) == ["skills/pdf"]
    assert "docx" not in snapshot.prompt()
    assert (snapshot.problems, snapshot.files) == ((), {})
    plain = engine.open([skills_root.path]).snapshot
    assert snapshot.digest != plain.digest
    assert plain.hidden == {}


def test_the_first_reason_of_several_checks_counts_and_one_check_is_enough(
    engine: Engine, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf")
    first, second = Check(pdf="first"), Check(pdf="second")
    assert hidden(engine.open([skills_root.path], eligible=[first, second]).snapshot) == {"pdf": "skills: first"}
    assert (len(first.asked), len(second.asked)) == (1, 0)
    with watch(skills_root.path, eligible=second) as workspace:
        assert hidden(workspace.snapshot) == {"pdf": "skills: second"}


async def awaited(skill: Skill) -> str | None:
    return None


@pytest.mark.parametrize(
    ("eligible", "reason"),
    [
        (["pdf"], "'pdf' is no function"),
        (5, "5 is no function"),
        (True, "True is no function"),
        (awaited, "is a coroutine function; give a plain one"),
    ],
)
def test_what_is_no_check_is_refused(engine: Engine, skills_root: SkillsRoot, eligible: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"eligible: .*{reason}"):
        engine.open([skills_root.path], eligible=eligible)


def test_workspaces_with_equal_checks_share_the_answers(engine: Engine, two: tuple[SkillsRoot, SkillsRoot]) -> None:
    check = Check(docx="too old")
    alice, bob = (engine.open([root.path for root in two], eligible=[check]) for _ in range(2))
    assert sorted(check.asked) == ["project/pdf", "user/docx", "user/pdf"]
    assert alice.snapshot.hidden["docx"] is bob.snapshot.hidden["docx"]
    check.asked.clear()
    engine.bump()
    assert sorted(check.asked) == ["project/pdf", "user/docx", "user/pdf"]
    check.reasons = {}
    assert "docx" in alice.invalidate().skills
    two[1].add("new")
    assert "docx" in bob.sync().skills
    assert "docx" in alice.sync().skills


def test_checks_that_cannot_be_hashed_are_asked_too(engine: Engine, skills_root: SkillsRoot) -> None:
    class Listed(list[str]):
        def __call__(self, skill: Skill) -> str | None:
            return "listed" if skill.name in self else None

    skills_root.add("pdf")
    check = Listed(["pdf"])
    alice, bob = (engine.open([skills_root.path], eligible=[check]) for _ in range(2))
    check.clear()
    engine.bump()
    assert used(alice.snapshot) == used(bob.snapshot) == ["skills/pdf"]


def test_one_that_slept_when_all_were_asked_again_finds_out(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    check = Check()
    with TurnedEngine() as engine:
        workspace = engine.open([skills_root.path], eligible=check, idle_s=30.0)
        engine.open([skills_root.path])  # keeps the root as it is
        engine.put_asleep(workspace)
        check.reasons = {"pdf": "revoked"}
        engine.bump()
        assert hidden(workspace.snapshot) == {"pdf": "skills: revoked"}


def test_a_check_that_ends_the_program_hides_the_skill_and_nothing_else(
    engine: Engine, skills_root: SkillsRoot
) -> None:
    skills_root.add("docx")
    workspace = engine.open(
        [skills_root.path], eligible=lambda skill: sys.exit("no ffmpeg") if "pdf" in skill.name else None
    )
    skills_root.add("pdf")
    assert hidden(workspace.sync()) == {"pdf": "skills: the check of eligibility failed: SystemExit: no ffmpeg"}
    assert used(workspace.snapshot) == ["skills/docx"]


def test_what_a_check_holds_at_another_address_each_time_moves_no_version(
    engine: Engine, skills_root: SkillsRoot
) -> None:
    kept: list[object] = []

    def answers(skill: Skill) -> Any:
        kept.append(object())
        return kept[-1]

    def fails(skill: Skill) -> str | None:
        raise KeyError(answers(skill))

    skills_root.add("pdf")
    for check, reason in ((answers, "answered with object, neither"), (fails, "KeyError: <object object at some")):
        workspace = engine.open([skills_root.path], eligible=check)
        before = workspace.snapshot
        assert reason in before.hidden["pdf"].reason
        assert workspace.invalidate() is before


def test_a_check_that_closes_another_workspace_meanwhile_harms_nobody(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    victims: list[Workspace] = []

    def closes(skill: Skill) -> str | None:
        while victims:
            victims.pop().close()
        return None

    first = engine.open([skills_root.path], eligible=closes)
    second = engine.open([skills_root.path], eligible=Check())
    victims.append(second)
    engine.bump()
    with pytest.raises(ClosedError):
        second.sync()
    assert first.health[0].failures == 0


def test_a_hidden_skill_takes_no_name_from_a_later_root(engine: Engine, two: tuple[SkillsRoot, SkillsRoot]) -> None:
    workspace = engine.open([two[0].path, two[1].path], eligible=Check(**{"project/pdf": "not trusted"}))
    assert hidden(workspace.snapshot) == {"pdf": "project: not trusted"}
    assert used(workspace.snapshot) == ["user/docx", "user/pdf"]
    assert workspace.snapshot.problems == ()


def test_a_shadowed_skill_is_not_told_as_hidden(engine: Engine, two: tuple[SkillsRoot, SkillsRoot]) -> None:
    check = Check(**{"user/pdf": "too old"})
    workspace = engine.open([two[0].path, two[1].path], eligible=check)
    assert hidden(workspace.snapshot) == {}
    assert [found.code for found in workspace.snapshot.problems] == ["shadowed"]
    check.reasons["project/pdf"] = "not trusted"
    assert hidden(workspace.invalidate()) == {"pdf": "project: not trusted"}
    assert used(workspace.snapshot) == ["user/docx"]
    (two[0].path / "pdf/SKILL.md").unlink()
    assert hidden(workspace.sync()) == {"pdf": "user: too old"}
    assert workspace.snapshot.problems == ()


def test_the_version_stays_where_what_is_hidden_was_shadowed_before_it_went(
    engine: Engine, two: tuple[SkillsRoot, SkillsRoot]
) -> None:
    project, user = two
    check = Check(**{"user/pdf": "too old"})
    workspace = engine.open([project.path, user.path], eligible=check)
    before = workspace.snapshot
    check.reasons = {}
    assert workspace.invalidate() is before
    check.reasons = {"user/pdf": "too old"}
    assert workspace.invalidate() is before


def test_a_skill_behind_the_one_in_use_is_told_as_shadowed_by_that_one(
    engine: Engine, two: tuple[SkillsRoot, SkillsRoot], tmp_path: Path
) -> None:
    third = SkillsRoot(tmp_path / "third")
    third.add("pdf")
    check = Check(**{"project/pdf": "not trusted", "third/pdf": "too old"})
    workspace = engine.open([two[0].path, two[1].path, third.path], eligible=check)
    assert hidden(workspace.snapshot) == {"pdf": "project: not trusted"}
    (found,) = workspace.snapshot.problems
    assert (found.path, str(two[1].path) in found.message) == (third.path / "pdf/SKILL.md", True)


def test_of_two_hidden_skills_of_one_name_the_first_is_told_as_hidden_and_the_other_as_shadowed(
    engine: Engine, two: tuple[SkillsRoot, SkillsRoot], tmp_path: Path
) -> None:
    third = SkillsRoot(tmp_path / "third")
    third.add("pdf")
    paths = [two[0].path, two[1].path, third.path]
    workspace = engine.open(paths, eligible=Check(**{"project/pdf": "not trusted", "user/pdf": "too old"}))
    assert hidden(workspace.snapshot) == {"pdf": "project: not trusted"}
    assert used(workspace.snapshot) == ["user/docx", "third/pdf"]
    (found,) = workspace.snapshot.problems
    assert (found.path, str(two[0].path) in found.message) == (two[1].path / "pdf/SKILL.md", True)
    (third.path / "pdf/SKILL.md").unlink()
    assert "pdf" not in workspace.sync().skills
    assert workspace.snapshot.problems == (found,)


def test_invalidating_asks_again_and_tells_what_was_hidden_and_shown(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("docx")
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    changes, before = heard(workspace), workspace.version
    check.reasons = {"docx": "no writer"}
    snapshot = workspace.invalidate()
    assert hidden(snapshot) == {"docx": "skills: no writer"}
    assert snapshot.version > before
    wait_for(lambda: changes)
    assert [(item.skill, item.kind) for item in changes[0].changes] == [("docx", "removed"), ("pdf", "added")]


def test_the_version_stays_where_no_answer_differs(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("docx")
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    before = workspace.snapshot
    assert workspace.invalidate() is before
    assert len(check.asked) == 4


def test_another_reason_moves_the_version_without_changes(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    changes, prompt_version = heard(workspace), workspace.snapshot.prompt_version
    check.reasons = {"pdf": "no licence"}
    workspace.invalidate()
    wait_for(lambda: changes)
    assert changes[0].changes == ()
    assert hidden(changes[0].snapshot) == {"pdf": "skills: no licence"}
    assert changes[0].snapshot.prompt_version == prompt_version


def test_each_skill_is_asked_about_once_until_it_is_another(engine: Engine, two: tuple[SkillsRoot, SkillsRoot]) -> None:
    project, user = two
    check = Check(docx="too old")
    workspace = engine.open([project.path, user.path], eligible=check)
    check.asked.clear()
    user.add("new")
    user.add("docx", body="Other.\n")
    workspace.sync()
    assert sorted(check.asked) == ["user/docx", "user/new"]
    assert workspace.snapshot.hidden["docx"].skill.instructions() == "Other.\n"


@pytest.mark.parametrize("reason", ["", "too old"])
def test_a_skill_that_lost_its_name_for_a_while_is_not_asked_about_again(
    engine: Engine, two: tuple[SkillsRoot, SkillsRoot], reason: str
) -> None:
    project, user = two
    check = Check(**{"user/docx": reason})
    workspace = engine.open([project.path, user.path], eligible=check)
    before = hidden(workspace.snapshot), used(workspace.snapshot)
    for _ in range(2):
        project.add("docx")
        assert "project/docx" in used(workspace.sync())
        assert hidden(workspace.snapshot) == {}
        (project.path / "docx/SKILL.md").unlink()
        workspace.sync()
        assert (hidden(workspace.snapshot), used(workspace.snapshot)) == before
    assert [asked for asked in check.asked if asked == "user/docx"] == ["user/docx"]


def test_refresh_asks_again_too(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    check.reasons = {}
    assert used(workspace.sync()) == []
    assert used(workspace.refresh()) == ["skills/pdf"]


def test_a_check_is_asked_for_its_own_workspace_alone(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    alice = engine.open([skills_root.path], eligible=Check(pdf="not for alice"))
    bob = engine.open([skills_root.path])
    check = Check()
    carol = engine.open([skills_root.path], eligible=check)
    alice.invalidate()
    assert (used(alice.snapshot), used(bob.snapshot), used(carol.snapshot)) == ([], ["skills/pdf"], ["skills/pdf"])
    assert len(check.asked) == 1


def test_a_check_that_fails_hides_the_skill_and_says_so(
    engine: Engine, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(skill: Skill) -> str | None:
        raise ValueError(f"cannot judge\n{skill.name}")

    skills_root.add("pdf")
    snapshot = engine.open([skills_root.path], eligible=fails).snapshot
    assert snapshot.hidden["pdf"].reason == "the check of eligibility failed: ValueError: cannot judge\\npdf"
    assert "a check of eligibility failed" in caplog.text


def test_an_answer_that_is_no_reason_hides_the_skill_and_says_so(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    for answer, reason in (
        (False, "answered False, neither"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("", "no reason was"),
    ):
        snapshot = engine.open([skills_root.path], eligible=lambda _, told=answer: told).snapshot
        assert reason in snapshot.hidden["pdf"].reason


def test_problems_of_a_hidden_skill_stay_and_its_files_are_no_loose_ones(
    engine: Engine, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf", files={"run.py": "1", "deep/SKILL.md": "x"})
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    assert [found.code for found in workspace.snapshot.problems] == ["nested-skill"]
    assert workspace.snapshot.files == {}
    check.reasons = {}
    changes = heard(workspace)
    workspace.invalidate()
    wait_for(lambda: changes)
    assert [(item.skill, item.kind) for item in changes[0].changes] == [("pdf", "added")]


def test_a_hidden_skill_that_is_deleted_is_hidden_no_more(engine: Engine, skills_root: SkillsRoot) -> None:
    skill = skills_root.add("pdf")
    workspace = engine.open([skills_root.path], eligible=Check(pdf="no reader"))
    before = workspace.snapshot
    (skill / "SKILL.md").unlink()
    assert workspace.sync().hidden == {}
    assert hidden(before) == {"pdf": "skills: no reader"}


def test_what_is_hidden_is_in_the_json_where_anything_is(engine: Engine, skills_root: SkillsRoot) -> None:
    skill = skills_root.add("pdf")
    check = Check(pdf="no reader")
    workspace = engine.open([skills_root.path], eligible=check)
    expected = [{"name": "pdf", "location": str(skill / "SKILL.md"), "reason": "no reader"}]
    hiding = workspace.snapshot
    assert snapshot_json(hiding)["hidden"] == ready_json(hiding, [])["hidden"] == expected
    check.reasons = {}
    changes = heard(workspace)
    showing = workspace.invalidate()
    for told in (snapshot_json(showing), ready_json(showing, []), complete_json(showing, None)):
        assert "hidden" not in told
    wait_for(lambda: changes)
    assert changed_json(changes[0])["hidden"] == []
    check.reasons = {"pdf": "no reader"}
    workspace.invalidate()
    wait_for(lambda: len(changes) == 2)
    assert json.loads(json.dumps(changed_json(changes[1])))["hidden"] == expected
    skills_root.add("docx")
    wait_for(lambda: len(changes) == 3)
    assert "hidden" not in changed_json(changes[2])


def test_what_is_hidden_is_the_same_on_the_other_side_of_a_connection(
    engine: Engine, two: tuple[SkillsRoot, SkillsRoot]
) -> None:
    pytest.importorskip("httpx_sse", reason="needs the extra `client`")
    from skills_refresh.client.rebuilding import rebuild, tells_the_same

    check = Check(**{"project/pdf": "not trusted", "docx": "too old"})
    workspace = engine.open([two[0].path, two[1].path], eligible=check)
    before, known = None, None
    for reasons in (check.reasons, {"docx": "too old"}, {"docx": "no licence"}, {}):
        check.reasons = reasons
        after = workspace.invalidate()
        told = rebuild(json.loads(json.dumps(complete_json(after, before))), known)
        assert (hidden(told), used(told), told.digest) == (hidden(after), used(after), after.digest)
        assert list(told.hidden) == list(after.hidden)
        assert known is None or not tells_the_same(known, told)
        if known is not None and told.hidden and known.hidden:
            assert told.hidden["docx"].skill is known.hidden["docx"].skill
        before, known = after, told


def test_a_closed_workspace_asks_nobody(engine: Engine, skills_root: SkillsRoot) -> None:
    check = Check()
    skills_root.add("pdf")
    workspace = engine.open([skills_root.path], eligible=check)
    other = engine.open([skills_root.path])
    workspace.close()
    check.asked.clear()
    with pytest.raises(ClosedError, match="this workspace was closed"):
        workspace.invalidate()
    skills_root.add("docx")
    other.refresh()
    engine.bump()
    assert check.asked == []
