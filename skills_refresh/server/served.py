"""`ServedWorkspace`: a workspace as the server holds it. It carries what the engine's threads tell over to the event
loop, and can be given another workspace without its subscribers noticing more than a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ..changes import compare
from ..health import RootHealth
from ..model import SkillsChanged, Snapshot
from ..workspace import Workspace
from .bodies import Bodies
from .events import EventHub, encode_change, encode_health
from .threads import call_soon
from .told import tell_problems


class ServedWorkspace:
    """The workspace called `name`, with its events and its encoded snapshots.

    `hub` is None until the first snapshot is there. All methods belong to the event loop.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.hub: EventHub | None = None
        self.bodies = Bodies()
        self.workspace: Workspace | None = None
        # One refresh at a time, and when the last one began.
        self.looking = asyncio.Lock()
        self.looked_from: dict[str, float] = {}
        self._unsubscribe: Callable[[], None] = lambda: None

    def follow(self, workspace: Workspace) -> Workspace | None:
        """Serves `workspace`, which was started, from now on; returns the one that was served before."""
        before, self.workspace = self.workspace, workspace
        self._unsubscribe()
        loop = asyncio.get_running_loop()
        first = workspace.snapshot
        if self.hub is None:
            self.hub = EventHub(first, self.health)
        elif self.hub.snapshot.version != first.version:
            self._replace(self.hub, first)

        def on_change(change: SkillsChanged) -> None:  # on the listener's thread, where encoding holds up nobody
            tell_problems(() if change.before is None else change.before.problems, change.snapshot.problems)
            call_soon(loop, self._on_change, workspace, change, encode_change(change))

        def on_health(health: RootHealth) -> None:  # on the engine's thread, which must not be held up
            call_soon(loop, self._on_health, workspace, health)

        end_changes = workspace.subscribe(on_change, since=first.version, name="server")
        end_health = workspace.subscribe_health(on_health)

        def unsubscribe() -> None:
            end_changes()
            end_health()

        self._unsubscribe = unsubscribe
        return before

    @property
    def snapshot(self) -> Snapshot:
        """What is served just now; there must be something."""
        assert self.hub is not None
        return self.hub.snapshot

    @property
    def current(self) -> Workspace:
        """The workspace that is served just now; there must be one."""
        assert self.workspace is not None
        return self.workspace

    def is_at_or_after(self, version: int) -> bool:
        """Whether what is served just now is no earlier than `version`."""
        return self.hub is not None and self.hub.snapshot.version >= version

    def health(self) -> tuple[RootHealth, ...]:
        """How each root is watched."""
        return () if self.workspace is None else self.workspace.health

    def close(self) -> None:
        """Tells all subscribers that the server is going."""
        self._unsubscribe()
        if self.hub is not None:
            self.hub.close()

    def _replace(self, hub: EventHub, first: Snapshot) -> None:
        compared = compare(hub.snapshot, first, workspace=self.name, reason="config")
        # Everything was read anew; of what is the same as before nobody need hear.
        told = tuple(item for item in compared.changes if item.kind != "changed" or item.aspects)
        change = replace(compared, changes=told)
        hub.change(change, encode_change(change))
        hub.tell(b"".join([encode_health(health) for health in self.health()]))

    def _on_change(self, workspace: Workspace, change: SkillsChanged, data: bytes) -> None:
        if workspace is self.workspace and self.hub is not None:
            self.hub.change(change, data)

    def _on_health(self, workspace: Workspace, health: RootHealth) -> None:
        if workspace is self.workspace and self.hub is not None:
            self.hub.tell(encode_health(health))
