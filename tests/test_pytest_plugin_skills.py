"""`pytest --skills=DIR`: every SKILL.md below DIR is a test item, and its report says where to mend what."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from skills_refresh.pytest_plugin import SkillsRoot

from .pytest_runs import run_apart, run_quickly

pytest.importorskip("markdown_it")

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def root(pytester: pytest.Pytester) -> SkillsRoot:
    """A root called `skills` in the directory in which pytest is run."""
    return SkillsRoot(pytester.path / "skills")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest in that directory, without anybody's configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(pytester.path / "no configuration"))
    return lambda *arguments: run_quickly(pytester, monkeypatch, *arguments)


def findings(done: pytest.RunResult) -> list[str]:
    """The lines of the report that name a file. In CI, pytest's summary has them once more."""
    report = "\n".join(done.outlines).partition("= short test summary info =")[0]
    return re.findall(r"^skills/.* \[[a-z-]+\]$", report, re.MULTILINE)


# -- what is checked --------------------------------------------------------------------------------------------------


def test_every_skill_is_an_item_and_a_good_one_passes(root: SkillsRoot, run: Run) -> None:
    root.add("pdf", body="[a](b.md) and [web](https://example.org)\n", files={"b.md": "x", "run.py": "print()\n"})
    root.add("team/docx")
    done = run("--skills=skills", "-v")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["skills/pdf/SKILL.md::pdf PASSED*", "skills/team/docx/SKILL.md::docx PASSED*"])


def test_all_that_is_wrong_with_one_skill_is_in_one_report(root: SkillsRoot, run: Run) -> None:
    text = f"---\ndescription: {'x' * 1025}\nname: Pdf\ncompatibility: {'y' * 501}\n---\n\n[gone](gone.md)\n"
    root.write("pdf/SKILL.md", text)
    root.write("pdf/run.py", "x = 1\ndef f(:\n")
    done = run("--skills=skills")
    done.assert_outcomes(failed=1)
    assert findings(done) == [
        "skills/pdf/SKILL.md:2: the description has 1025 characters, over 1024: "
        "Shorten the description to 1,024 characters. [long-description]",
        "skills/pdf/SKILL.md:3: the name 'Pdf' breaks the specification: "
        "Use 1 to 64 lower-case letters, digits and single hyphens. [invalid-name]",
        "skills/pdf/SKILL.md:3: the name is 'Pdf', the directory 'pdf': "
        "Give the directory and the skill the same name. [name-mismatch]",
        "skills/pdf/SKILL.md:4: the compatibility has 501 characters, over 500: "
        "Shorten the compatibility to 500 characters. [long-compatibility]",
        "skills/pdf/SKILL.md:7: links to gone.md, which does not exist: "
        "Mend the link, or add the file; a link starts at the skill's directory. [broken-link]",
        "skills/pdf/run.py:2: is no Python: invalid syntax: "
        "Mend the line; what cannot parse on purpose can be left out in .skillsignore. [broken-script]",
    ]
    assert "Traceback" not in done.stdout.str()
    assert "skill_items.py" not in done.stdout.str()


def test_a_skill_that_cannot_be_loaded_fails_with_its_line(root: SkillsRoot, run: Run) -> None:
    root.write("pdf/SKILL.md", "---\nname: pdf\ndescription: [\n---\n")
    root.add("docx")
    done = run("--skills=skills")
    done.assert_outcomes(passed=1, failed=1)
    assert findings(done)[0].startswith("skills/pdf/SKILL.md:4: ")
    assert findings(done)[0].endswith("[invalid-yaml]")


def test_the_second_skill_of_a_name_fails_and_is_looked_into(root: SkillsRoot, run: Run) -> None:
    root.add("a/pdf")
    root.add("b/pdf", body="[gone](gone.md)\n", files={"x.json": "{"})
    done = run("--skills=skills")
    done.assert_outcomes(passed=1, failed=1)
    assert [line.rpartition(" ")[2] for line in findings(done)] == ["[shadowed]", "[broken-link]", "[broken-script]"]


def test_a_field_of_another_kind_is_told_at_its_line(root: SkillsRoot, run: Run) -> None:
    root.write("pdf/SKILL.md", "---\nname: pdf\ndescription: x\nlicense: [MIT]\n---\n")
    assert [line.rpartition(": ")[0] for line in findings(run("--skills=skills"))] == [
        "skills/pdf/SKILL.md:4: license must be text"
    ]


def test_a_link_that_no_file_can_be_called_is_told(root: SkillsRoot, run: Run) -> None:
    root.add("pdf", body=f"[long]({'x' * 300}) [empty](a%00b)\n")
    done = run("--skills=skills")
    done.assert_outcomes(failed=1)
    assert [line.rpartition(" ")[2] for line in findings(done)] == ["[broken-link]", "[broken-link]"]


def test_an_info_does_not_fail_and_stands_beside_what_does(root: SkillsRoot, run: Run) -> None:
    root.add("pdf", files={"inner/SKILL.md": "part of it"})
    run("--skills=skills").assert_outcomes(passed=1)
    root.write("pdf/x.json", "{")
    done = run("--skills=skills")
    done.assert_outcomes(failed=1)
    assert [line.rpartition(" ")[2] for line in findings(done)] == ["[nested-skill]", "[broken-script]"]


def test_what_belongs_to_no_skill_is_an_item_of_the_root(root: SkillsRoot, run: Run, pytester: pytest.Pytester) -> None:
    root.add("pdf")
    (root.path / "gone").symlink_to("nowhere")
    root.write(os.fsdecode(b"caf\xe9/SKILL.md"), "x")
    done = run("--skills=skills", "-v")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["skills::root FAILED*"])
    codes = [line.rpartition(" ")[2] for line in findings(done)]
    assert sorted(codes) == ["[dangling-link]", "[no-frontmatter]", "[undecodable-name]"]
    pytester.makeini("[pytest]\nskills_roots = skills\n")
    run().assert_outcomes(passed=1, failed=1)


def test_skillsignore_and_the_configuration_leave_out_what_they_leave_out_everywhere(
    root: SkillsRoot, run: Run, pytester: pytest.Pytester
) -> None:
    root.add("pdf", files={"bad.json": "{", "template.py": "{"})
    root.add("draft", description="")
    root.add("node_modules/dependency", description="")
    root.write(".skillsignore", "bad.json\ndraft/\n")
    (pytester.path / "skills-refresh.toml").write_text('exclude = ["template.py"]\n')
    run("--skills=skills").assert_outcomes(passed=1)


# -- which items there are --------------------------------------------------------------------------------------------


def collected(done: pytest.RunResult) -> list[str]:
    return [line for line in done.outlines if "::" in line]


PDF, DOCX, INNER, TEST = (
    "skills/pdf/SKILL.md::pdf",
    "skills/team/docx/SKILL.md::docx",
    "skills/pdf/test_pdf.py::test_pdf",
    "tests/test_it.py::test_it",
)


@pytest.fixture
def project(root: SkillsRoot, pytester: pytest.Pytester) -> None:
    """Two skills, one with a test of its own, and tests beside them."""
    root.add("pdf", files={"test_pdf.py": "def test_pdf(): pass\n"})
    root.add("team/docx")
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests/test_it.py").write_text("def test_it(): pass\n")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("ini", "arguments", "expected"),
    [
        ("", ["--skills=skills"], [PDF, DOCX]),
        ("", ["--skills=skills/pdf", "--skills=skills/team"], [PDF, DOCX]),
        ("", ["--skills=skills/pdf", "--skills=skills"], [PDF, DOCX]),
        ("", ["--skills=skills", "tests"], [TEST, PDF, DOCX]),
        ("", ["--skills=skills", PDF], [PDF]),
        ("", ["--skills=skills", "skills/team"], [DOCX]),
        ("", ["--skills=skills", "."], [PDF, INNER, DOCX, TEST]),
        ("", ["--skills=.", "tests"], [TEST, PDF, DOCX]),
        ("", ["--skills=.", "tests/test_it.py"], [TEST, PDF, DOCX]),
        ("", ["--skills=.", "skills/pdf/test_pdf.py"], [INNER]),
        ("", ["--skills=.", "--ignore=skills/pdf", "tests"], [TEST, DOCX]),
        ("", ["--skills=skills", "-k", "docx"], [DOCX]),
        ("", ["--skills=skills", "--deselect", PDF], [DOCX]),
        ("", ["--skills=skills", "--ignore=skills/pdf"], [DOCX]),
        ("", ["--skills=skills", "--ignore=skills/pdf/SKILL.md"], [DOCX]),
        ("", [], [INNER, TEST]),
        ("skills_roots = skills\ntestpaths = tests", [], [TEST, PDF, DOCX]),
        ("skills_roots = .\ntestpaths = tests", [], [TEST, PDF, DOCX]),
        ("skills_roots = .\ntestpaths = tests skills/pdf", [], [TEST, PDF, INNER, DOCX]),
        ("skills_roots = skills", [], [PDF, INNER, DOCX, TEST]),
        ("skills_roots = skills", ["tests"], [TEST]),
        ("skills_roots = skills", [PDF], [PDF]),
        ("skills_roots = skills", ["skills/pdf"], [PDF, INNER]),
        ("skills_roots = skills/team", ["--skills=skills/pdf"], [PDF]),
        ("skills_roots = skills\ntestpaths = tests", ["-m", "skill"], [PDF, DOCX]),
        ("skills_roots = skills\ntestpaths = tests", ["-m", "not skill"], [TEST]),
    ],
)
def test_which_items_there_are(
    pytester: pytest.Pytester, run: Run, ini: str, arguments: list[str], expected: list[str]
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    assert collected(run("--collect-only", "-q", *arguments)) == expected


@pytest.mark.usefixtures("project")
def test_a_run_from_below_collects_no_roots_as_it_collects_no_testpaths(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nskills_roots = skills\n")
    monkeypatch.chdir(pytester.path / "tests")
    assert collected(run("--collect-only", "-q")) == [TEST]
    assert collected(run("--collect-only", "-q", "--skills=../skills/pdf")) == [PDF]


def test_a_skill_is_found_where_pytest_would_not_look(root: SkillsRoot, run: Run, pytester: pytest.Pytester) -> None:
    """In a hidden root, and where it is called as products of a build are; and nothing else is found there."""
    hidden = SkillsRoot(pytester.path / ".claude/skills")
    hidden.add("pdf")
    root.add("build")
    for directory in (".claude", ".claude/skills/pdf", "skills/build"):
        (pytester.path / directory / "test_it.py").write_text("raise RuntimeError\n")
    pytester.makeini("[pytest]\nskills_roots =\n    .claude/skills\n    skills\n")
    ids = [".claude/skills/pdf/SKILL.md::pdf", "skills/build/SKILL.md::build"]
    for arguments in ((), ("--skills=.claude/skills", "--skills=skills"), ids):
        done = run("--collect-only", "-q", *arguments)
        assert (collected(done), done.ret) == (ids, pytest.ExitCode.OK)


@pytest.mark.parametrize("arguments", [["--ignore=skills/build"], ["--ignore-glob=*/build"], []])
def test_what_is_left_out_by_name_stays_left_out(root: SkillsRoot, run: Run, arguments: list[str]) -> None:
    """Though a name such as `build` does not hide a skill."""
    root.add("build")
    if not arguments:
        root.write("conftest.py", "collect_ignore = ['build']\n")
    assert collected(run("--collect-only", "-q", "--skills=skills", ".", *arguments)) == []


@pytest.mark.parametrize("init", [{}, {"__init__.py": ""}], ids=["no package", "package"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_root_keeps_its_own_fixtures(root: SkillsRoot, run: Run, init: dict[str, str], broken: bool) -> None:
    """A run that goes through it finds there what it finds without us, and the problems of the root."""
    root.add("pdf", files={"test_it.py": "def test_it(own, request): assert request.node.getparent(own)\n", **init})
    kind = "Package" if init else "Dir"
    root.write("conftest.py", f"import pytest\n@pytest.fixture\ndef own(): return pytest.{kind}\n")
    for name, content in init.items():
        root.write(name, content)
    if broken:
        (root.path / "gone").symlink_to("nowhere")
    run("--skills=skills", ".").assert_outcomes(passed=2, failed=int(broken))


def test_a_root_without_skills_is_named(root: SkillsRoot, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    done = run("--skills=skills", ".")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"no skills below {root.path}"])
    root.add("pdf")
    run("--skills=skills", ".").stdout.no_fnmatch_line("no skills below *")


def test_a_root_may_lie_elsewhere_and_be_a_skill_itself(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = SkillsRoot(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.add("pdf", description="")
    elsewhere.add("docx")
    done = run(f"--skills={elsewhere.path}", f"--skills={elsewhere.path}/docx")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines([f"{elsewhere.path}/pdf/SKILL.md:1: *missing-description]"])
    run(f"--skills={elsewhere.path}/docx").assert_outcomes(passed=1)


def test_nothing_of_a_skill_is_run(root: SkillsRoot, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap, ran = tmp_path / "trap.sh", tmp_path / "ran"
    trap.write_text(f"touch {ran}\n")
    monkeypatch.setenv("BASH_ENV", str(trap))
    write = f"open({str(ran)!r}, 'w')\n"
    files = {
        "run.sh": f"touch {ran}\n",
        "run.py": write,
        "__init__.py": write,
        "test_it.py": write,
        "conftest.py": write,
    }
    root.add("pdf", files=files)
    run("--skills=skills").assert_outcomes(passed=1)
    assert not ran.exists()


# -- how it is run ----------------------------------------------------------------------------------------------------


def test_it_stops_at_the_first_failure(root: SkillsRoot, run: Run) -> None:
    for name in ("a", "b", "c"):
        root.add(name, description="")
    run("--skills=skills", "-x").assert_outcomes(failed=1)


def test_the_xml_report_has_what_is_wrong(root: SkillsRoot, run: Run, pytester: pytest.Pytester) -> None:
    root.add("pdf", body="[gone](gone.md)\n")
    run("--skills=skills", "--junitxml=report.xml")
    case = ElementTree.parse(pytester.path / "report.xml").find(".//testcase")
    assert case is not None
    assert (case.get("name"), case.get("classname")) == ("pdf", "skills.pdf.SKILL.md")
    assert "skills/pdf/SKILL.md:6: links to gone.md" in str(case.findtext("failure"))


def test_workers_of_xdist_collect_the_same(
    root: SkillsRoot, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xdist")
    for number in range(8):
        root.add(f"skill-{number}", files={"test_it.py": "def test_it(): pass\n"})
    root.break_("skill-3")
    done = run_apart(pytester, monkeypatch, "-p", "xdist", "-n", "2", "--skills=skills")
    done.assert_outcomes(passed=7, failed=1)
    done.stdout.fnmatch_lines(["skills/skill-3/SKILL.md:1: *unclosed-frontmatter]"])


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("ini", "arguments", "expected"),
    [
        ("skills_roots = skills\ntestpaths = tests", [], {TEST, PDF, DOCX}),
        ("", ["--skills=skills", "tests"], {TEST, PDF, DOCX}),
        ("", ["--skills=skills"], {PDF, DOCX}),
    ],
)
def test_workers_of_xdist_collect_what_one_process_does(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    ini: str,
    arguments: list[str],
    expected: set[str],
) -> None:
    pytest.importorskip("xdist")
    pytester.makeini(f"[pytest]\n{ini}\n")
    done = run_apart(pytester, monkeypatch, "-p", "xdist", "-n", "2", "-rA", *arguments)
    assert {line.removeprefix("PASSED ") for line in done.outlines if line.startswith("PASSED ")} == expected


@pytest.mark.parametrize(
    ("ini", "argument", "message"),
    [
        ("", "--skills=gone", "*--skills: */gone is not a directory; name one that holds skills"),
        ("", "--skills=skills/pdf/SKILL.md", "*--skills: */SKILL.md is not a directory; name one that holds skills"),
        ("skills_roots = gone", "-q", "*skills_roots: */gone is not a directory; name one that holds skills"),
    ],
)
def test_a_root_that_is_none_is_wrong_use(
    pytester: pytest.Pytester, root: SkillsRoot, run: Run, ini: str, argument: str, message: str
) -> None:
    root.add("pdf")
    pytester.makeini(f"[pytest]\n{ini}\n")
    done = run(argument)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([message])


def test_a_configuration_that_cannot_be_read_is_wrong_use(
    root: SkillsRoot, run: Run, pytester: pytest.Pytester
) -> None:
    (pytester.path / "skills-refresh.toml").write_text("depth = 3\n")
    done = run("--skills=skills")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*skills-refresh.toml*depth*"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a bash")
def test_shell_scripts_are_left_alone_where_there_is_no_bash(
    root: SkillsRoot, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.add("pdf", files={"run.sh": "fi\n"})
    run("--skills=skills").assert_outcomes(failed=1)
    monkeypatch.setenv("PATH", "")
    run("--skills=skills").assert_outcomes(passed=1)
