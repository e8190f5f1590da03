"""What is relevant: the defaults, what users add and take back, and one answer for planner, scan and events."""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from contextlib import aclosing, closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from watchfiles import Change, awatch, watch

from skills_refresh import ConfigError, Settings, SkillFilter, scan

from .conftest import DEADLINE_S, SkillsRoot, skill_text, wait_for

# As the design lists them, so that nothing is lost or gained by accident.
EVERYWHERE = """
    .git .hg .svn .jj node_modules bower_components .venv venv __pycache__ site-packages __pypackages__ .mypy_cache
    .pytest_cache .ruff_cache .tox .nox .hypothesis .eggs thing.egg-info .cache .next .nuxt .gradle .idea .vscode
""".split()
IN_SKILL = "build dist target out vendor env coverage".split()
EXTENSIONS = """
    .md .mdx .markdown .txt .rst .py .pyi .js .mjs .cjs .jsx .ts .mts .cts .tsx .json .jsonc .json5 .jsonl .yaml .yml
    .toml .ini .cfg .conf .sh .bash .zsh .fish .ps1 .bat .cmd .rb .pl .lua .r .go .rs .java .sql .html .css .xml .csv
    .j2 .jinja .tmpl
""".split()
NAMES = "Makefile Dockerfile LICENSE NOTICE README".split()

ROOT = "/skills"


def relevant(skill_filter: SkillFilter, path: Path | str, change: Change = Change.modified) -> bool:
    return skill_filter(change, str(path))


@pytest.mark.parametrize("name", EVERYWHERE)
def test_caches_and_installed_packages_are_excluded_everywhere(name: str) -> None:
    skill_filter = SkillFilter(ROOT)
    assert skill_filter.why_pruned(f"tools/{name}", in_skill=False) == "excluded everywhere"
    assert skill_filter.why_pruned(name, in_skill=True) == "excluded everywhere"


@pytest.mark.parametrize("name", IN_SKILL)
def test_products_of_a_build_are_excluded_inside_a_skill_only(name: str) -> None:
    skill_filter = SkillFilter(ROOT)
    assert skill_filter.prunes(f"pdf/{name}", in_skill=True)
    assert not skill_filter.prunes(name, in_skill=False)


@pytest.mark.parametrize(
    "name", ["rebuild", "build2", "builds", "my-venv", "venv.d", "Build", "distribution", "egg-info"]
)
def test_only_whole_components_are_excluded(name: str) -> None:
    assert not SkillFilter(ROOT).prunes(f"pdf/{name}", in_skill=True)


@pytest.mark.parametrize(
    ("directory", "rule"),
    [(".hidden", "hidden"), (".venv", "excluded everywhere"), ("dist", "excluded inside a skill"), ("docs", None)],
)
def test_the_filter_tells_the_rule_by_which_a_directory_is_left_out(directory: str, rule: str | None) -> None:
    assert SkillFilter(ROOT).why_pruned(f"pdf/{directory}", in_skill=True) == rule


def test_a_build_directory_is_irrelevant_to_events_inside_a_skill_only(skills_root: SkillsRoot) -> None:
    inside = skills_root.add("pdf", files={"build/made.md": ""}) / "build" / "made.md"
    skill_called_so = skills_root.add("build") / "SKILL.md"
    skill_filter = SkillFilter(skills_root.path)
    assert not relevant(skill_filter, inside)
    assert relevant(skill_filter, skill_called_so)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_known_extension_is_read_in_any_case(extension: str) -> None:
    skill_filter = SkillFilter(ROOT)
    assert skill_filter.reads(f"pdf/file{extension}")
    assert skill_filter.reads(f"pdf/FILE{extension.upper()}")


@pytest.mark.parametrize("name", NAMES)
def test_a_known_name_is_read_in_its_own_case(name: str) -> None:
    skill_filter = SkillFilter(ROOT)
    assert skill_filter.reads(f"pdf/{name}")
    assert not skill_filter.reads(f"pdf/{name.swapcase()}")


@pytest.mark.parametrize("name", ["logo.svg", "data", "md", "file.", "notes.md~", "notes.md.swp", "README.bak"])
def test_other_files_are_not_read(name: str) -> None:
    assert SkillFilter(ROOT).why_skipped(f"pdf/{name}") == "extension not allowed"


@pytest.mark.parametrize("name", [".md", ".notes.md", ".env", ".Makefile"])
def test_hidden_files_are_not_read(name: str) -> None:
    assert SkillFilter(ROOT).why_skipped(f"pdf/{name}") == "hidden"


@pytest.mark.parametrize("above", ["/home/.agents", "/app/.venv/lib/site-packages", "/srv/build", "/x/node_modules"])
def test_what_lies_above_the_root_does_not_count(above: str) -> None:
    assert relevant(SkillFilter(f"{above}/skills"), f"{above}/skills/pdf/SKILL.md")


@pytest.mark.parametrize("path", ["/skills2/pdf/SKILL.md", "/other/SKILL.md", "/SKILL.md"])
def test_what_lies_outside_of_the_roots_is_irrelevant(path: str) -> None:
    assert not relevant(SkillFilter(ROOT), path)


def test_every_root_counts() -> None:
    assert relevant(SkillFilter("/first", "/second"), "/second/pdf/SKILL.md")


def test_the_root_itself_is_relevant() -> None:
    assert relevant(SkillFilter(ROOT), ROOT, Change.deleted)


def test_without_a_root_every_component_counts() -> None:
    assert relevant(SkillFilter(), "/home/skills/pdf/SKILL.md")
    assert not relevant(SkillFilter(), "/home/.venv/skills/pdf/SKILL.md")


def test_a_directory_is_relevant_where_it_is_not_excluded(skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf", files={"scripts/run.py": "", "node_modules/a/b.js": ""})
    skill_filter = SkillFilter(skills_root.path)
    assert relevant(skill_filter, directory / "scripts", Change.added)
    assert not relevant(skill_filter, directory / "node_modules", Change.added)


@pytest.mark.parametrize(("name", "counts"), [("gone", True), ("gone.svg", False), (".venv", False), ("gone.md", True)])
def test_what_was_deleted_counts_where_it_may_have_been_relevant(name: str, counts: bool) -> None:
    assert relevant(SkillFilter(ROOT), f"{ROOT}/{name}", Change.deleted) == counts


@pytest.mark.parametrize("extension", [".svg", "svg", "*.svg", ".SVG"])
def test_a_user_adds_extensions_to_the_defaults(extension: str) -> None:
    skill_filter = SkillFilter(ROOT, extensions=[extension])
    assert skill_filter.reads("pdf/logo.svg")
    assert skill_filter.reads("pdf/SKILL.md")


def test_a_user_adds_names_to_the_defaults() -> None:
    skill_filter = SkillFilter(ROOT, names=["Justfile"])
    assert skill_filter.reads("pdf/Justfile")
    assert skill_filter.reads("pdf/Makefile")


@pytest.mark.parametrize("pattern", ["drafts/", "drafts", "/pdf/drafts", "pdf/dr*/", "**/drafts/"])
def test_a_pattern_excludes_a_directory_with_all_below_it(pattern: str) -> None:
    skill_filter = SkillFilter(ROOT, patterns=[pattern])
    assert skill_filter.why_pruned("pdf/drafts", in_skill=True) == f"pattern {pattern!r}"
    assert not relevant(skill_filter, f"{ROOT}/pdf/drafts/deep/notes.md")


def test_a_pattern_with_a_slash_in_front_holds_at_the_root_only() -> None:
    skill_filter = SkillFilter(ROOT, patterns=["/drafts"])
    assert skill_filter.prunes("drafts", in_skill=False)
    assert not skill_filter.prunes("pdf/drafts", in_skill=False)


def test_a_pattern_excludes_files() -> None:
    skill_filter = SkillFilter(ROOT, patterns=["*.log.md"])
    assert skill_filter.why_skipped("pdf/today.log.md") == "pattern '*.log.md'"
    assert skill_filter.reads("pdf/today.md")


def test_the_last_pattern_that_matches_decides() -> None:
    skill_filter = SkillFilter(ROOT, patterns=["*.md", "!SKILL.md"])
    assert skill_filter.reads("pdf/SKILL.md")
    assert not skill_filter.reads("pdf/notes.md")


@pytest.mark.parametrize("directory", ["build", "node_modules", ".github", "thing.egg-info"])
def test_a_negated_pattern_takes_an_exclude_back(directory: str) -> None:
    skill_filter = SkillFilter(ROOT, patterns=[f"!{directory}/"])
    assert not skill_filter.prunes(f"pdf/{directory}", in_skill=True)
    assert relevant(skill_filter, f"{ROOT}/pdf/{directory}/notes.md")


def test_a_negated_pattern_takes_back_that_a_file_is_hidden_but_not_its_extension() -> None:
    skill_filter = SkillFilter(ROOT, patterns=["!.*"])
    assert skill_filter.reads("pdf/.notes.md")
    assert not skill_filter.reads("pdf/.logo.svg")


@pytest.mark.parametrize("pattern", ["!", "drafts\\"])
def test_an_invalid_pattern_is_an_error_that_names_it(pattern: str) -> None:
    with pytest.raises(ConfigError) as raised:
        SkillFilter(ROOT, patterns=["fine/", pattern])
    assert str(raised.value).startswith(f"{pattern!r}: not a gitignore pattern")


def write_into(skills_root: SkillsRoot) -> str:
    """Writes two irrelevant files and then a relevant one, whose path is returned."""
    skills_root.write("pdf/.venv/module.py", "")
    skills_root.write("pdf/logo.svg", "")
    return str(skills_root.write("pdf/SKILL.md", ""))


def test_it_works_alone_in_watch(skills_root: SkillsRoot) -> None:
    path = write_into(skills_root)
    watching = watch(
        skills_root.path, watch_filter=SkillFilter(skills_root.path), rust_timeout=20, yield_on_timeout=True
    )
    seen: set[str] = set()

    def write_and_look() -> bool:
        write_into(skills_root)
        seen.update(path for _, path in next(watching))
        return bool(seen)

    with closing(watching):
        wait_for(write_and_look, "an event")
    assert seen == {path}


def test_it_works_alone_in_awatch(skills_root: SkillsRoot) -> None:
    path = write_into(skills_root)
    watching = awatch(
        skills_root.path, watch_filter=SkillFilter(skills_root.path), rust_timeout=20, yield_on_timeout=True
    )

    async def first_batch() -> set[str]:
        async with aclosing(watching):
            async for changes in watching:
                if changes:
                    return {path for _, path in changes}
                write_into(skills_root)
        return set()

    assert asyncio.run(asyncio.wait_for(first_batch(), DEADLINE_S)) == {path}


DIRECTORIES = st.lists(
    st.sampled_from(["pdf", "docs", "build", "rebuild", "env", "node_modules", ".venv", ".hidden", "thing.egg-info"]),
    max_size=4,
)
FILES = st.sampled_from(["SKILL.md", "skill.md", "NOTES.MD", "run.py", "logo.svg", "Makefile", ".secret.md", "data"])
PATTERNS = st.sampled_from(
    ["*.md", "!SKILL.md", "!build/", "!.hidden", "!.*", "docs/", "/pdf", "/pdf/*", "pdf/**/run.py", "env/*", "**/docs"]
)


def planner_and_scan_policy(skill_filter: SkillFilter, root: Path, path: Path) -> bool:
    """What the planner says of each directory on the way to `path`, and then of the file."""
    parts = path.relative_to(root).parts
    in_skill = False
    for count in range(1, len(parts)):
        in_skill = in_skill or root.joinpath(*parts[: count - 1], "SKILL.md").exists()
        if skill_filter.prunes("/".join(parts[:count]), in_skill=in_skill):
            return False
    return skill_filter.reads("/".join(parts))


def scanned_files(root: Path, settings: Settings) -> set[str]:
    """The relevant files that a scan finds, in skills and outside of them."""
    snapshot = scan([root], settings).snapshot
    in_skills = {str(skill.directory / file.path) for skill in snapshot.skills.values() for file in skill.files}
    return in_skills | set(snapshot.files)


@given(
    st.lists(st.tuples(DIRECTORIES, FILES), min_size=1, max_size=25),
    st.lists(PATTERNS, max_size=3),
    st.sampled_from([(), (".svg",)]),
)
@example([([], "SKILL.md"), (["build"], "run.py"), (["docs"], "run.py")], [], ())
@example([(["build"], "SKILL.md"), (["build", "build"], "run.py")], ["!build/"], ())
@example([(["pdf"], "SKILL.md"), (["pdf", "env"], "run.py"), (["pdf"], "NOTES.MD")], ["*.md"], ())
def test_planner_scan_and_events_never_disagree_about_a_file(
    files: list[tuple[list[str], str]], patterns: list[str], extensions: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        paths = sorted({root.joinpath(*directories, name) for directories, name in files})
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(skill_text(f"skill-{number}"))  # names that differ, so that no skill shadows another
        skill_filter = SkillFilter(root, patterns=patterns, extensions=extensions)
        planned = {str(path) for path in paths if planner_and_scan_policy(skill_filter, root, path)}
        told = {str(path) for path in paths if relevant(skill_filter, path)}
        assert scanned_files(root, Settings(exclude=tuple(patterns), extensions=extensions)) == planned == told


def test_a_range_that_runs_backwards_is_an_invalid_pattern(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a gitignore pattern"):
        SkillFilter("/skills", patterns=["[z-a]"])
    (tmp_path / ".skillsignore").write_text("[z-a]\n")
    assert [found.code for found in scan([tmp_path]).snapshot.problems] == ["invalid-ignore-file"]


def test_the_rule_is_named_below_empty_lines_and_comments() -> None:
    skill_filter = SkillFilter("/skills", patterns=["# ours", "", "drafts/"])
    assert skill_filter.why_pruned("drafts", in_skill=False) == "pattern 'drafts/'"


def test_a_root_below_another_root_counts_by_itself() -> None:
    skill_filter = SkillFilter("/project", "/project/.claude/skills")
    assert skill_filter(Change.modified, "/project/.claude/skills/pdf/SKILL.md")


def test_an_extension_of_two_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="last dot"):
        SkillFilter("/skills", extensions=[".tar.gz"])


@pytest.mark.parametrize("root", ["../skills", "./skills"])
def test_relative_roots_and_the_paths_that_notify_reports_for_them(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert SkillFilter(root)(Change.modified, f"{tmp_path}/other/{root}/notes.md")


def test_a_file_below_a_directory_called_skill_md_is_irrelevant_to_all(tmp_path: Path) -> None:
    path = tmp_path / "pdf" / "SKILL.md" / "notes.md"
    path.parent.mkdir(parents=True)
    path.touch()
    assert not SkillFilter(tmp_path)(Change.modified, str(path))
    assert not scan([tmp_path]).snapshot.files


def test_a_filter_can_be_sent_to_another_process() -> None:
    """With all that it learned meanwhile."""
    skill_filter = SkillFilter("/skills", extensions=[".svg"], patterns=["drafts/"])
    assert skill_filter.reads("pdf/logo.svg")
    copied = pickle.loads(pickle.dumps(skill_filter))
    assert copied.reads("pdf/logo.svg")
    assert copied.prunes("drafts", in_skill=False)
