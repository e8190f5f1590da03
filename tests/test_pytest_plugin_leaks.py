"""What a test leaves behind is an error of its teardown, if it is ours; and nobody else is blamed."""

from __future__ import annotations

import sys

import pytest

from .pytest_runs import run_quickly

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def _settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left behind here on purpose stays until it is closed, however long one waits."""
    monkeypatch.setattr("skills_refresh.pytest_plugin.leaks.SETTLE_S", 0.05)


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    return run_quickly(pytester, monkeypatch)


@pytest.mark.usefixtures("_settle_soon")
def test_an_engine_that_was_not_closed_is_an_error(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(
        pytester,
        monkeypatch,
        """
        from skills_refresh import watch

        opened = []

        def test_it(skills, skills_root):
            opened.append(watch(skills_root).start())

        def test_the_next_one():
            opened[0].close()
        """,
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it*",
            "left behind by the test; close what it opened:",
            "  thread 'skills-refresh engine'",
            "  descriptor *: inotify, kernel watches below the roots: 1",
        ]
    )


@pytest.mark.usefixtures("_settle_soon")
def test_a_file_of_a_skill_that_is_still_open_is_an_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(
        pytester,
        monkeypatch,
        """
        import os

        left = []

        def test_it(skills, skills_root):
            left.append(os.open(skills_root.add("pdf") / "SKILL.md", os.O_RDONLY))

        def test_the_next_one():
            os.close(left[0])
        """,
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["  descriptor *: */test_it0/skills/pdf/SKILL.md"])


@pytest.mark.usefixtures("_settle_soon")
def test_a_listener_that_never_returns_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(
        pytester,
        monkeypatch,
        """
        import threading

        over = threading.Event()
        called = threading.Event()

        def block(change):
            called.set()
            over.wait()

        def test_it(skills, skills_root):
            skills.subscribe(block)
            skills_root.add("pdf")
            assert called.wait(30)

        def test_the_next_one():
            over.set()
        """,
    )
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["  thread 'skills-refresh block'"])


def test_what_others_open_and_what_was_there_before_is_not_blamed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that an earlier fixture closes after the workspace, one of the whole module that is made at its first
    use, another library's watches, files beside the skills."""
    done = run(
        pytester,
        monkeypatch,
        """
        import os, threading
        import pytest
        from skills_refresh import watch
        from watchfiles._rust_notify import RustNotify

        others = []
        over = threading.Event()

        @pytest.fixture
        def gateway(skills_root):
            workspaces = []
            yield lambda: workspaces.append(watch(skills_root).start())
            for workspace in workspaces:
                workspace.close()

        @pytest.fixture(scope="module")
        def engine(tmp_path_factory):
            with watch(tmp_path_factory.mktemp("module")) as workspace:
                workspace.subscribe(lambda change: None)
                yield workspace

        @pytest.fixture(scope="module")
        def engine_at_first_use(tmp_path_factory):
            with watch(tmp_path_factory.mktemp("late")) as workspace:
                yield workspace

        def test_it(gateway, engine, skills, skills_root, tmp_path, request):
            gateway()
            request.getfixturevalue("engine_at_first_use")
            skills_root.add("pdf")
            others.append(open(skills_root.path / "log", "w"))
            others.append(RustNotify([str(tmp_path)], False, False, 0, False, False))
            others.append(open(tmp_path / "file", "w"))
            threading.Thread(target=over.wait, name="skills of another kind").start()

        def test_the_next_one():
            over.set()
            for other in others:
                other.close()
        """,
    )
    done.assert_outcomes(passed=2)


def test_a_workspace_that_the_test_closed_itself_is_fine(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(
        pytester,
        monkeypatch,
        """
        def test_it(skills, skills_factory, skills_root):
            skills_root.add("pdf", files={"a/b/run.py": "x"})
            for other in [skills_factory() for _ in range(3)]:
                other.close()
            skills.close()
        """,
    )
    done.assert_outcomes(passed=1)


def test_a_test_that_fails_anyway_is_not_covered_up(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(
        pytester,
        monkeypatch,
        """
        import pytest

        @pytest.fixture
        def fragile():
            yield
            raise KeyError("of the fixture")

        def test_it(skills, fragile):
            assert False, "of the test"
        """,
    )
    done.assert_outcomes(failed=1, errors=1)
    done.stdout.fnmatch_lines(["*KeyError: 'of the fixture'", "*AssertionError: of the test"])
