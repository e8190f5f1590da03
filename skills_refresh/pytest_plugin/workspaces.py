"""`ExpectingWorkspace`, the workspace of a test, and `SkillsFactory`, which opens any number of them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from os import PathLike

from ..eligibility import Eligible
from ..engine import Engine
from ..model import Aspect, Kind
from ..roots import Root, resolve_roots
from ..settings import Settings
from ..workspace import Workspace
from .editing import SkillsRoot
from .expectations import Expectation, Wanted
from .leaks import LeakCheck

# For writers that a test has started and does not wait for; what it wrote itself is there behind the barrier.
TIMEOUT_S = 5.0
# The kernel tells of what this machine writes, whatever the temporary directory lies on. Where it is an overlay or a
# network mount, it would be polled without this, and a listener would hear of an edit after 1.5 s instead of 10 ms.
QUICK = Settings(poll=False)


class ExpectingWorkspace(Workspace):
    """A `Workspace` that can also say what a block of a test must do to it, or must not do."""

    def expect_change(
        self,
        skill: str | None = None,
        *,
        kind: Kind | None = None,
        aspects: Collection[Aspect] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> Expectation:
        """Fails the test unless the block changes what is named, in one skill at least.

        As in::

            with skills.expect_change(skill="pdf", aspects={"files"}) as expected:
                skills_root.edit("pdf", files={"run.py": "print()"})
            assert expected.change.changes[0].paths

        What differs between entering and leaving counts, however many versions there were; without any argument, a
        difference in problems alone does too. `aspects` must be all that the change has. On leaving it waits up to
        `timeout` seconds. In an async test, `async with` waits without holding up the event loop.

        Raises `ValueError` for a kind or an aspect that does not exist.
        """
        return Expectation(self, Wanted.named(skill, kind, aspects), refused=False, timeout=timeout)

    def expect_no_change(
        self, skill: str | None = None, *, kind: Kind | None = None, aspects: Collection[Aspect] | None = None
    ) -> Expectation:
        """Fails the test if the block does what `expect_change` with the same arguments expects. It does not wait for
        that: everything that the block has written is looked at."""
        return Expectation(self, Wanted.named(skill, kind, aspects), refused=True)


class SkillsFactory:
    """Opens workspaces for one test, on `skills_root` where no roots are given. They are closed after the test.

    `leak_check` is told of all roots and listeners, to look whether something of them is left behind.
    """

    def __init__(self, skills_root: SkillsRoot, leak_check: LeakCheck, stack: ExitStack) -> None:
        self._skills_root = skills_root
        self._leak_check = leak_check
        self._stack = stack

    def __call__(
        self,
        *roots: str | PathLike[str] | Root,
        settings: Settings = QUICK,
        name: str = "",
        eligible: Eligible | None = None,
    ) -> ExpectingWorkspace:
        """A started workspace on `roots`, earlier ones before later ones, with an engine of its own, as `watch` makes
        it from the same arguments. It may be closed before the test ends. Raises `ConfigError` for settings that make
        no sense, `TypeError` for what is no root."""
        for root in roots:
            if not isinstance(root, (str, PathLike, Root)):
                raise TypeError(f"{root!r} is no root; give each as an argument of its own, as in skills_factory(a, b)")
        resolved = resolve_roots(roots or (self._skills_root,))
        self._leak_check.roots.extend(root.path for root in resolved)
        engine = Engine(settings)
        engine.callers = self._leak_check.callers
        workspace = ExpectingWorkspace(engine, resolved, name=name, eligible=eligible, on_close=engine.close)
        self._stack.callback(workspace.close)
        workspace.start()
        return workspace
