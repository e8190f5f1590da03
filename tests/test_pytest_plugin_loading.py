"""The plugin among others: what it loads, what it says of itself, and that an installed wheel brings it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .pytest_runs import run_apart, run_quickly

PROJECT = Path(__file__).parents[1]


def test_a_run_that_uses_none_of_it_loads_none_of_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith("skills_refresh")}
            assert ours == {"skills_refresh", "skills_refresh._version", "skills_refresh.pytest_plugin"}
            assert {"watchfiles", "yaml", "asyncio", "markdown_it", "pathspec"}.isdisjoint(sys.modules)
        """
    )
    run_apart(pytester, monkeypatch).assert_outcomes(passed=1)


def test_the_root_alone_does_not_start_an_engine(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(skills_root):
            skills_root.add("pdf")
            assert "skills_refresh.engine" not in sys.modules
        """
    )
    run_apart(pytester, monkeypatch).assert_outcomes(passed=1)


def test_its_help_says_what_there_is(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_quickly(pytester, monkeypatch, "--help")
    done.stdout.fnmatch_lines(
        ["skills (skills-refresh):", "*--skills*DIR*make a test item of each SKILL.md below DIR*"]
    )
    done.stdout.fnmatch_lines(["*skills_roots (paths):*"])


def test_its_marker_is_known(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    run_quickly(pytester, monkeypatch, "--markers").stdout.fnmatch_lines(["@pytest.mark.skill: *"])


def test_its_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_quickly(pytester, monkeypatch, "--fixtures")
    done.stdout.fnmatch_lines_random(["skills -- *", "skills_factory -- *", "skills_root -- *"])
    assert "no docstring available" not in done.stdout.str()


def test_without_a_reader_of_markdown_the_cure_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / "skills").mkdir()
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    done = run_quickly(pytester, monkeypatch, "--skills=skills")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        ["*--skills: needs markdown_it to read links; run pip install 'skills-refresh[[]pytest]'"]
    )


def test_it_can_be_left_out(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    done = pytester.runpytest_inprocess("-p", "no:skills_refresh", "--skills=skills")
    done.stderr.fnmatch_lines(["*unrecognized arguments: --skills=skills"])


def test_a_public_name_that_is_not_there_is_an_attribute_error() -> None:
    import skills_refresh.pytest_plugin as plugin

    assert all(getattr(plugin, name).__name__ == name for name in plugin.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        plugin.nothing  # noqa: B018 - it raises


def test_every_pytest_can_load_its_hooks() -> None:
    """Pluggy before 1.2, which pytest 7 may have, refuses wrappers of the new form, and with them the whole run."""
    import skills_refresh.pytest_plugin as plugin

    options = [getattr(hook, "pytest_impl", {}) for name, hook in vars(plugin).items() if name.startswith("pytest_")]
    assert len(options) == 3
    assert not any(option.get("wrapper") for option in options)


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="needs hatchling to build a wheel")
def test_an_installed_wheel_brings_the_plugin(tmp_path: Path) -> None:
    """In an environment of its own, which finds the dependencies where this one has them."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")], PROJECT)
    (wheel,) = (tmp_path / "dist").iterdir()
    run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], tmp_path)
    python = tmp_path / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)], tmp_path)
    (packages,) = (tmp_path / "venv/lib").glob("*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "skills/pdf").mkdir(parents=True)
    (tmp_path / "skills/pdf/SKILL.md").write_text("---\nname: pdf\ndescription: x\n---\n")
    (tmp_path / "test_it.py").write_text(
        "import skills_refresh\n"
        "def test_it(skills, skills_root):\n"
        f"    assert skills_refresh.__file__.startswith({str(packages)!r})\n"
        "    with skills.expect_change('pdf'):\n"
        "        skills_root.add('pdf')\n"
    )
    # Other plugins are none of our business here, and some take seconds to load.
    others = [f"-pno:{name}" for name in ("anyio", "asyncio", "hypothesispytest", "schemathesis", "xdist")]
    done = run([str(python), "-m", "pytest", "-q", *others, "--skills=skills", "test_it.py"], tmp_path)
    assert "2 passed" in done


def run(command: list[str], directory: Path) -> str:
    """What the command printed; fails with that when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
