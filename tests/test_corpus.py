"""Real skills: every `SKILL.md` of eight public projects is a skill, or is named by a problem. None is missing."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from skills_refresh import scan

ARCHIVE = Path(__file__).parents[2] / "shared/corpora/real-skills.tar.xz"

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"{ARCHIVE} is not there")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked."""
    directory = tmp_path_factory.mktemp("corpus")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(directory, filter="data")
    return directory


def test_every_real_skill_is_listed_or_explained(corpus: Path) -> None:
    missing, loaded, seen = [], 0, 0
    for project in sorted(corpus.iterdir()):
        snapshot = scan([project]).snapshot
        named = {skill.location for skill in snapshot.skills.values()} | {found.path for found in snapshot.problems}
        files = list(project.rglob("SKILL.md"))
        missing += [file for file in files if file not in named]
        loaded += len(snapshot.skills)
        seen += len(files)
    assert not missing
    assert seen > 2_000
    assert loaded > 1_500


def test_all_projects_as_roots_of_one_workspace(corpus: Path) -> None:
    """Names repeat over the projects: the earlier root wins, and the others are told."""
    projects = sorted(corpus.iterdir())
    snapshot = scan(projects).snapshot
    first = scan(projects[:1]).snapshot.skills
    assert {snapshot.skills[name].root for name in first} == {projects[0]}
    assert snapshot.prompt().count("<skill>") == len(snapshot.skills)
