"""The fixtures in async tests, under each plugin that runs these: `with` as ever, `async with` beside a live loop."""

from __future__ import annotations

import pytest

from .pytest_runs import run_apart

# One and the same test for all of them; what stands before it says who runs it. The block leaves a task of the event
# loop that writes the skill: only if leaving it does not hold up the loop is the skill ever there.
BODY = """
    with skills.expect_change("pdf", kind="added"):
        skills_root.add("pdf")
    with skills.expect_no_change():
        await sleep(0)
    async with skills.expect_no_change("docx") as unchanged:
        await sleep(0)
    assert unchanged.change.changes == ()
    with pytest.raises(pytest.fail.Exception, match="expected no change"):
        async with skills.expect_no_change():
            skills_root.edit("pdf", body="New.")
    with pytest.raises(KeyError):
        async with skills.expect_change("docx"):
            raise KeyError
"""

ASYNCIO = f"""
import asyncio
from asyncio import sleep
import pytest

%s
async def test_it(skills, skills_root):
{BODY}
    async with skills.expect_change("docx", timeout=30):
        asyncio.get_running_loop().call_later(0.02, skills_root.add, "docx")
    told = asyncio.Event()

    async def listener(change):
        told.set()

    skills.subscribe(listener)
    async with skills.expect_change("xlsx"):
        skills_root.add("xlsx")
    await asyncio.wait_for(told.wait(), 30)
"""

ANYIO = f"""
import anyio
from anyio import sleep
import pytest

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.mark.anyio
async def test_it(skills, skills_root):
{BODY}
    async def write():
        await sleep(0.02)
        skills_root.add("docx")

    async with anyio.create_task_group() as tasks:
        async with skills.expect_change("docx", timeout=30):
            tasks.start_soon(write)
"""


def test_under_pytest_asyncio_in_its_strict_mode(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_passes_under_pytest_asyncio(pytester, monkeypatch, "strict", "@pytest.mark.asyncio")


def test_under_pytest_asyncio_in_its_auto_mode(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_passes_under_pytest_asyncio(pytester, monkeypatch, "auto", "")


def assert_passes_under_pytest_asyncio(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str, marker: str
) -> None:
    pytest.importorskip("pytest_asyncio")
    pytester.makeini(f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(ASYNCIO % marker)
    run_apart(pytester, monkeypatch, "-p", "pytest_asyncio.plugin").assert_outcomes(passed=1)


def test_under_anyio_on_both_of_its_loops(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trio")
    pytester.makepyfile(ANYIO)
    run_apart(pytester, monkeypatch, "-p", "anyio").assert_outcomes(passed=2)


def test_without_any_of_them_none_is_loaded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it(skills, skills_root):
            with skills.expect_change("pdf"):
                skills_root.add("pdf")
            assert {"trio", "pytest_asyncio", "anyio.pytest_plugin"}.isdisjoint(sys.modules)
        """
    )
    run_apart(pytester, monkeypatch).assert_outcomes(passed=1)
