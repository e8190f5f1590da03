"""The skills in an ASGI application (FastAPI, Starlette, and others): followed for as long as it runs.

`SkillsHost.lifespan` starts and ends a workspace with the application, `snapshot` is a dependency for its routes, and
`routes` are those of `skills-refresh serve`, to be mounted below a path. Nothing of a framework is imported before
`routes` is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from .errors import ClosedError, ConfigError
from .model import Snapshot
from .workspace import Workspace

if TYPE_CHECKING:
    from .server.mounted import MountedRoutes

# The modules that the extra `serve` brings and the routes need.
_NEEDED = ("fastapi", "starlette", "prometheus_client", "pydantic")


class SkillsHost:
    """The skills of one application.

    `make` returns the workspace, and is called at each start of the application, since a closed one cannot be started
    again: `lambda: skills_refresh.watch("skills")`, or one of `connect` or `Engine.open`. Belongs to one event loop at
    a time; runs under asyncio.

    With FastAPI::

        skills = SkillsHost(lambda: skills_refresh.watch("skills"))
        app = FastAPI(lifespan=skills.lifespan)
        app.mount("/skills", skills.routes())

        @app.get("/prompt")
        async def prompt(snapshot: Annotated[Snapshot, Depends(skills.snapshot)]) -> str:
            return snapshot.prompt()
    """

    def __init__(self, make: Callable[[], Workspace]) -> None:
        self._make = make
        self._workspace: Workspace | None = None
        self._mounted: list[MountedRoutes] = []

    @property
    def workspace(self) -> Workspace:
        """The workspace. Raises `ClosedError` while the application does not run."""
        if self._workspace is None:
            raise ClosedError("the skills are not being followed: give the application `lifespan`, and let it start")
        return self._workspace

    async def snapshot(self) -> Snapshot:
        """The current snapshot: a dependency for FastAPI's `Depends`. Never waits. Raises like `workspace`."""
        return self.workspace.snapshot

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[dict[str, Workspace]]:
        """Follows the skills for as long as `app` runs: the `lifespan` of FastAPI, Starlette and their like.

        The application starts when the first snapshot is there. What it yields is the workspace as `skills`, which
        Starlette makes `request.state.skills`. An application with a lifespan of its own enters it there::

            @asynccontextmanager
            async def lifespan(app):
                async with skills.lifespan(app) as state:
                    yield state

        Raises what keeps the skills from being read, and `ConfigError` where it is entered already.
        """
        if self._workspace is not None:
            raise ConfigError("this SkillsHost runs with an application already: make one for each application")
        async with AsyncExitStack() as stack:
            self._workspace = await stack.enter_async_context(self._make())
            stack.callback(self._forget)
            for mounted in self._mounted:
                await stack.enter_async_context(mounted.serving(self._workspace))
            yield {"skills": self._workspace}

    def routes(
        self,
        *,
        token: str | None = None,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        max_followers: int = 2_000,
    ) -> MountedRoutes:
        """The routes of `skills-refresh serve`, with its page: an ASGI application to be mounted below any path.

        They ask for `token` where one is given. As with `serve`, whoever names another host than `localhost` or an
        address is refused unless `hosts` has that name, pages of other origins unless `origins` has them (such as
        `https://gateway.example`). `max_followers` is how many may wait for news at once. Needs the extra `serve`;
        raises `ConfigError` without it. To be called before the application starts.
        """
        try:
            from .server.access import Access
            from .server.mounted import MountedRoutes
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _NEEDED:
                raise
            raise ConfigError("the routes need more than is installed: pip install 'skills-refresh[serve]'") from error
        access = Access(token or None, frozenset(name.lower() for name in hosts), frozenset(origins))
        mounted = MountedRoutes(access, max_followers)
        self._mounted.append(mounted)
        return mounted

    def _forget(self) -> None:
        self._workspace = None

    def __repr__(self) -> str:
        return f"<SkillsHost {self._workspace or 'not started'}>"
