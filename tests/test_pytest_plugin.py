"""The fixtures for those who write gateways: a root, workspaces on it, and what a block of a test does to them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from skills_refresh import ConfigError, Settings, Workspace, scan
from skills_refresh.pytest_plugin import ExpectingWorkspace, SkillsFactory, SkillsRoot

failure = pytest.fail.Exception


# -- the root ---------------------------------------------------------------------------------------------------------


def test_a_skill_is_added_with_what_is_given(skills_root: SkillsRoot) -> None:
    directory = skills_root.add(
        "team/pdf", description="Reads: PDF", body="Go.\n", files={"a/run.py": "x", "b.md": b"y"}
    )
    skill = scan(skills_root).snapshot.skills["pdf"]
    assert (skill.directory, skill.description, skill.instructions()) == (directory, "Reads: PDF", "Go.\n")
    assert [file.path for file in skill.files] == ["SKILL.md", "a/run.py", "b.md"]
    assert scan(skills_root).snapshot.problems == ()


@pytest.mark.parametrize("name", ["on", "010", "1e3", "null", "a-b"])
def test_what_yaml_would_take_for_something_else_is_quoted(skills_root: SkillsRoot, name: str) -> None:
    skills_root.add(name, description=f"{name}: [\n")
    snapshot = scan(skills_root).snapshot
    assert (list(snapshot.skills), snapshot.problems) == ([name], ())


def test_an_edit_changes_what_is_given_and_no_byte_else(skills_root: SkillsRoot) -> None:
    path = skills_root.write("pdf/SKILL.md", "---\nname:   pdf # a comment\ndescription: x\nown: [1]\n---\nOld.\n")
    skills_root.edit("pdf", body="New.\n")
    assert path.read_text() == "---\nname:   pdf # a comment\ndescription: x\nown: [1]\n---\n\nNew.\n"
    skills_root.edit("pdf", description="y", files={"run.py": "x"})
    skill = scan(skills_root).snapshot.skills["pdf"]
    assert skill.frontmatter == {"name": "pdf", "description": "y", "own": (1,)}
    assert (skill.instructions(), len(skill.files)) == ("New.\n", 2)


def test_a_broken_skill_is_told_and_mended_by_an_edit(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    assert skills_root.break_("pdf") == skills_root.path / "pdf/SKILL.md"
    assert [found.code for found in scan(skills_root).snapshot.problems] == ["unclosed-frontmatter"]
    skills_root.edit("pdf", body="Mended.\n")
    snapshot = scan(skills_root).snapshot
    assert (snapshot.skills["pdf"].instructions(), snapshot.problems) == ("Mended.\n", ())


def test_a_skill_is_renamed_with_its_name_and_its_files(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Go.\n", files={"run.py": "x"})
    assert skills_root.rename("pdf", "team/docx") == skills_root.path / "team/docx"
    snapshot = scan(skills_root).snapshot
    assert list(snapshot.skills) == ["docx"]
    assert (snapshot.skills["docx"].instructions(), len(snapshot.skills["docx"].files)) == ("Go.\n", 2)
    assert snapshot.problems == ()


def test_nothing_is_left_of_a_removed_skill(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"a/run.py": "x"})
    skills_root.remove("pdf")
    assert list(skills_root.path.iterdir()) == []


def test_a_skill_that_is_not_there_cannot_be_edited(skills_root: SkillsRoot) -> None:
    (skills_root.path / "pdf").mkdir()
    for call in (skills_root.edit, skills_root.remove, skills_root.break_):
        with pytest.raises(FileNotFoundError, match=r"there is no skill 'pdf'.*pdf/SKILL\.md"):
            call("pdf")
    with pytest.raises(FileNotFoundError, match=r"there is no skill 'pdf'.*pdf/SKILL\.md"):
        skills_root.rename("pdf", "docx")
    assert (skills_root.path / "pdf").is_dir()


def test_no_skill_is_renamed_onto_another(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("docx")
    for name in ("docx", "pdf"):
        with pytest.raises(FileExistsError, match=f"/{name} exists; remove it first"):
            skills_root.rename("pdf", name)
    assert list(scan(skills_root).snapshot.skills) == ["docx", "pdf"]


@pytest.mark.parametrize("name", ["../x", "", ".", "a/../../x", "/x"])
def test_nothing_is_written_out_of_the_root(skills_root: SkillsRoot, name: str) -> None:
    skills_root.add("pdf")
    for call in (skills_root.add, skills_root.edit, skills_root.remove, lambda to: skills_root.rename("pdf", to)):
        with pytest.raises(ValueError, match="does not lie below"):
            call(name)
    with pytest.raises(ValueError, match="does not lie below"):
        skills_root.edit("pdf", files={"../../x": "y"})
    assert list(skills_root.path.parent.iterdir()) == [skills_root.path]
    assert list(scan(skills_root).snapshot.skills) == ["pdf"]


# -- expectations -----------------------------------------------------------------------------------------------------


def test_a_change_that_is_expected_is_kept(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with skills.expect_change(skill="pdf", kind="changed", aspects={"files"}) as expected:
        path = skills_root.edit("pdf", files={"run.py": "x"}) / "run.py"
    assert expected.change.changes == (("pdf", "changed", ("files",), (path,)),)
    assert expected.change.snapshot is skills.snapshot


def test_every_kind_and_aspect_can_be_expected(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    with skills.expect_change("pdf", kind="added", aspects=("catalog", "instructions")):
        skills_root.add("pdf")
    with skills.expect_change("pdf", kind="changed", aspects=["instructions"]):
        skills_root.edit("pdf", body="Otherwise.\n")
    with skills.expect_change("pdf", kind="changed", aspects={"catalog"}):
        skills_root.edit("pdf", description="Another.")
    with skills.expect_change("docx", kind="added"), skills.expect_change("pdf", kind="removed"):
        skills_root.rename("pdf", "docx")
    with skills.expect_change("docx", kind="removed"):
        skills_root.remove("docx")


def test_a_new_problem_alone_is_a_change(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with skills.expect_change() as expected, skills.expect_no_change("pdf"):
        skills_root.break_("pdf")
    assert expected.change.changes == ()
    assert {found.code for found in expected.change.snapshot.problems} == {"unclosed-frontmatter", "stale"}


def test_what_was_written_before_the_block_is_not_its_change(
    skills: ExpectingWorkspace, skills_root: SkillsRoot
) -> None:
    for number in range(20):
        skills_root.add("pdf", body=f"{number}\n")
        with skills.expect_no_change():
            pass


def test_no_change_is_certain_at_once(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    """Behind a barrier: it needs neither the event nor a sleep to see the edit."""
    for number in range(20):
        with pytest.raises(failure, match="expected no change"), skills.expect_no_change():
            skills_root.add("pdf", body=f"{number}\n")


def test_what_another_writes_later_is_waited_for(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    writer = threading.Timer(0.05, skills_root.add, ["pdf"])
    with skills.expect_change("pdf", timeout=30):
        writer.start()
    writer.join()


def test_a_failure_says_what_was_expected_and_what_happened(
    skills: ExpectingWorkspace, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf")
    skills_root.add("docx")

    def edit_and_break() -> None:
        with skills.expect_change(skill="pdf", kind="changed", aspects={"files", "catalog"}, timeout=0):
            skills_root.edit("pdf", body="x")
            skills_root.break_("docx")

    with pytest.raises(failure) as caught:
        edit_and_break()
    before, _, after = str(caught.value).partition("\n")[2].partition("\n")
    assert str(caught.value).startswith("expected within 0 s: edit of the skill 'pdf' in exactly catalog, files\n")
    assert before.endswith(f" became {skills.version}:")
    assert after.splitlines() == [
        "  changed 'pdf' in instructions: pdf/SKILL.md",
        "  new problem [stale] docx/SKILL.md: cannot be loaded as it is; its last good version stays in use",
        "    Mend SKILL.md; until then its last good version stays in use.",
        "  new problem [unclosed-frontmatter] docx/SKILL.md: the frontmatter has no closing line of three dashes",
        "    End the frontmatter with a line of three dashes.",
    ]


def test_a_failure_says_that_nothing_happened_and_how_the_root_fares(
    skills_factory: SkillsFactory, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf")
    polled = skills_factory(settings=Settings(poll=True))
    with pytest.raises(failure) as caught, polled.expect_change("docx", timeout=0):
        pass
    assert f"nothing changed: version {polled.version} holds 'pdf'" in str(caught.value)
    assert f"{skills_root.path} is polling (configured): " in str(caught.value)


def test_no_change_of_one_skill_lets_others_change(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with skills.expect_no_change("pdf"), skills.expect_no_change(kind="removed"):
        skills_root.add("docx")
    with pytest.raises(failure, match=r"expected no edit of the skill 'pdf'\n.*\n  changed 'pdf' in instructions"):
        with skills.expect_no_change("pdf", kind="changed"):
            skills_root.edit("pdf", body="x")


def test_a_change_that_was_taken_back_moved_the_version(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Old.\n")

    def edit_twice() -> None:
        with skills.expect_no_change():
            skills_root.edit("pdf", body="New.\n")
            skills.sync()
            skills_root.edit("pdf", body="Old.\n")

    with skills.expect_no_change("pdf"), pytest.raises(failure, match="nothing differs any more"):
        edit_twice()


def test_an_exception_in_the_block_wins(skills: ExpectingWorkspace) -> None:
    for expectation in (skills.expect_change("pdf", timeout=0), skills.expect_no_change()):
        with pytest.raises(KeyError), expectation:
            raise KeyError


def test_a_change_cannot_be_read_inside_of_the_block(skills: ExpectingWorkspace) -> None:
    with pytest.raises(RuntimeError, match="below the with statement"), skills.expect_no_change() as expected:
        expected.change  # noqa: B018 - it raises


def test_a_kind_or_an_aspect_that_does_not_exist_is_refused(skills: ExpectingWorkspace) -> None:
    with pytest.raises(ValueError, match=r"kind 'edited': .* name added, changed or removed"):
        skills.expect_change(kind="edited")  # type: ignore[arg-type]  # as a test without types would
    with pytest.raises(ValueError, match=r"aspects .*'body'.* name some of catalog, instructions, files"):
        skills.expect_no_change(aspects={"body"})  # type: ignore[arg-type]  # as a test without types would


def test_aspects_that_are_one_text_are_refused(skills: ExpectingWorkspace) -> None:
    with pytest.raises(TypeError, match=r"give a set, such as \{'instructions'\}"):
        skills.expect_change(aspects="instructions")  # type: ignore[arg-type]  # as a test without types would


# -- workspaces -------------------------------------------------------------------------------------------------------


def test_the_fixture_is_a_workspace_that_watches_natively(skills: ExpectingWorkspace, skills_root: SkillsRoot) -> None:
    assert isinstance(skills, Workspace)
    assert [root.path for root in skills.roots] == [str(skills_root.path)]
    assert skills.health[0].mode == "native"


def test_the_factory_opens_workspaces_on_other_roots_and_settings(
    skills_factory: SkillsFactory, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    other = SkillsRoot(tmp_path / "other")
    other.add("pdf", description="Of another root.")
    skills_root.add("pdf")
    skills_root.add("docx")
    both = skills_factory(other, skills_root.path, name="both")
    without = skills_factory(settings=Settings(exclude=("docx/",)))
    assert (both.name, both.snapshot.skills["pdf"].root) == ("both", other.path)
    assert (list(both.snapshot.skills), list(without.snapshot.skills)) == (["docx", "pdf"], ["pdf"])
    both.close()
    with pytest.raises(ConfigError, match="not a gitignore pattern"):
        skills_factory(settings=Settings(exclude=("a/**b\\",)))
    with pytest.raises(TypeError, match=r"is no root; give each as an argument of its own"):
        skills_factory([other, skills_root])  # type: ignore[arg-type]  # as a test without types would
