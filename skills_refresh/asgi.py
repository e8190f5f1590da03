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
from .health import RootHealth
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
    a time; runs under asyncio. Raises `ConfigError` where `make` is no function.

    With FastAPI::

        skills = SkillsHost(lambda: skills_refresh.watch("skills"))
        app = FastAPI(lifespan=skills.lifespan)
        app.mount("/skills", skills.routes())

        @app.get("/prompt")
        async def prompt(snapshot: Annotated[Snapshot, Depends(skills.snapshot)]) -> str:
            return snapshot.prompt()
    """

    def __init__(self, make: Callable[[], Workspace]) -> None:
        if not callable(make):
            raise ConfigError(f"SkillsHost: {make!r} is no function; give one, such as lambda: skills_refresh.watch(…)")
        self._make = make
        self._runs = False
        self._workspace: Workspace | None = None
        self._mounted: list[MountedRoutes] = []

    @property
    def workspace(self) -> Workspace:
        """The workspace. Raises `ClosedError` while the application does not run."""
        if self._workspace is None:
            raise ClosedError("the skills are not being followed: give the application `lifespan`, and let it start")
        return self._workspace

    async def snapshot(self) -> Snapshot:
        """The current snapshot: a dependency for FastAPI's `Depends`. It is there already, and nothing is waited for.
        Raises like `workspace`."""
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
        if self._runs:
            raise ConfigError("this SkillsHost runs with an application already: make one for each application")
        self._runs = True
        async with AsyncExitStack() as stack:
            stack.callback(self._forget)
            made = self._make()
            if not isinstance(made, Workspace):
                raise ConfigError(f"SkillsHost: its function returned {made!r}; it must return a workspace")
            self._workspace = await stack.enter_async_context(made)
            # Whoever listens keeps it awake: a request must not wait for roots that nobody had used for a while.
            stack.callback(self._workspace.subscribe_health(_stay_awake))
            for mounted in self._mounted:
                await stack.enter_async_context(mounted.serving(self._workspace))
            yield {"skills": self._workspace}

    def close_followers(self) -> None:
        """Tells all who follow the mounted routes that the server is going, and ends them.

        Servers wait for their connections before they end the lifespan, and followers never go by themselves. Where
        uvicorn runs as a program of its own, this is done as it begins to end; elsewhere, call it then, on the event
        loop, or give the server a time to wait, such as uvicorn's `timeout_graceful_shutdown`.
        """
        for mounted in self._mounted:
            mounted.close_followers()

    def routes(
        self,
        *,
        token: str | None = None,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        insecure: bool = False,
        max_followers: int = 2_000,
    ) -> MountedRoutes:
        """The routes of `skills-refresh serve`, with its page: an ASGI application to be mounted below any path.

        They ask for `token` where one is given. Without, they answer to this machine alone, unless `insecure`: then
        whoever reaches the application may read all skills, which is right where it asks who they are itself. As with
        `serve`, whoever names another host than `localhost` or an address is refused unless `hosts` has that name,
        pages of other origins unless `origins` has them (such as `https://gateway.example`). `max_followers` is how
        many may wait for news at once.

        To be called before the application starts. Raises `ConfigError` after that, for values that make no sense, and
        without the extra `serve`.
        """
        try:
            from .server.access import Access, checked_host, checked_origin
            from .server.mounted import MountedRoutes
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _NEEDED:
                raise
            raise ConfigError("the routes need more than is installed: pip install 'skills-refresh[serve]'") from error
        if self._runs:
            raise ConfigError("the application runs already: call routes() before it starts")
        if token is not None and (not token.strip() or token != token.strip()):
            raise ConfigError("routes: the token is empty, or has blanks around it; give None to ask for none")
        if isinstance(hosts, str) or isinstance(origins, str):
            raise ConfigError("routes: hosts and origins are lists; write them as ['gateway.example']")
        access = Access(
            token,
            frozenset(checked_host(name, "routes: hosts") for name in hosts),
            frozenset(checked_origin(url, "routes: origins") for url in origins),
            local_only=token is None and not insecure,
        )
        mounted = MountedRoutes(access, max_followers)
        self._mounted.append(mounted)
        return mounted

    def _forget(self) -> None:
        self._workspace, self._runs = None, False

    def __repr__(self) -> str:
        return f"<SkillsHost {self._workspace or 'not started'}>"


def _stay_awake(health: RootHealth) -> None:
    """Whoever asks `/v1/health` is told; nothing is to be done here."""
