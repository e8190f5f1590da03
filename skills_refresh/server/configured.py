"""`ConfiguredWorkspaces`: the engine and the workspaces that the configuration asks for, and what becomes of them when
it is another one."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import Config
from ..engine import Engine
from ..roots import Root
from ..workspace import Workspace
from .served import ServedWorkspace
from .threads import in_thread


class ConfiguredWorkspaces:
    """What is served. Belongs to one event loop.

    `config` is what is followed, `engine` what carries all workspaces, `served` maps names to workspaces, "" to the one
    at the top.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = Engine(config.settings)
        self.served = {name: ServedWorkspace(name) for name in _wanted(config)}

    async def open(self) -> None:
        """Reads everything for the first time."""
        for name, roots in _wanted(self.config).items():
            self.served[name].follow(await self._start(self.engine, name, roots))

    async def follow(self, config: Config) -> None:
        """Serves what `config` asks for. Who follows a workspace sees one change. Raises what keeps the new one from
        being read; then everything is as before."""
        before, known, wanted = self.engine, _wanted(self.config), _wanted(config)
        other_settings = config.settings != self.config.settings
        engine = Engine(config.settings) if other_settings else before
        opened: dict[str, Workspace] = {}
        try:
            for name, roots in wanted.items():
                if other_settings or roots != known.get(name):
                    opened[name] = await self._start(engine, name, roots)
        except BaseException:
            for workspace in opened.values():
                workspace.close()
            if other_settings:
                engine.close()
            raise
        self.engine, self.config = engine, config
        for name, workspace in opened.items():
            await self._replace(name, workspace, wanted[name])
        for name in self.served.keys() - wanted.keys():
            gone = self.served.pop(name)
            gone.close()
            if gone.workspace is not None:
                await in_thread(gone.workspace.close)
        if other_settings:
            await in_thread(before.close)

    def close(self) -> None:
        """Tells all subscribers that the server is going."""
        for served in self.served.values():
            served.close()

    async def _replace(self, name: str, workspace: Workspace, roots: tuple[Root, ...]) -> None:
        served = self.served.setdefault(name, ServedWorkspace(name))
        while served.is_at_or_after(workspace.version):  # something was written while the new one was being read
            await in_thread(workspace.close)
            workspace = await self._start(self.engine, name, roots)
        replaced = served.follow(workspace)
        if replaced is not None:
            await in_thread(replaced.close)

    async def _start(self, engine: Engine, name: str, roots: tuple[Root, ...]) -> Workspace:
        """A workspace whose versions are later than those that were served below its name."""
        hub = self.served[name].hub if name in self.served else None
        return await in_thread(engine.open, roots, name=name, after=0 if hub is None else hub.snapshot.version)


def _wanted(config: Config) -> Mapping[str, tuple[Root, ...]]:
    return {"": config.roots, **config.workspaces}
