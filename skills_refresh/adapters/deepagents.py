"""Deep Agents: `SkillsMiddleware` with the skills of a workspace, on every run. Needs `deepagents`.

The framework's middleware reads the skills when a thread runs for the first time and keeps them in the thread's state,
which is checkpointed, for good. Its state says that skills which are there need no loading: so the current ones are put
there at the beginning of each run where they differ, and nothing is read. Asking for a reload instead (`None` in the
state) would read every file again, lose a skill that is broken just now, and bring back those that are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..model import Skill
from ..workspace import Workspace
from .conversion import ConvertedSkills
from .optional_fields import optional_fields

try:
    from deepagents.backends import FilesystemBackend
    from deepagents.backends.protocol import BackendProtocol
    from deepagents.middleware.skills import (
        MAX_SKILL_COMPATIBILITY_LENGTH,
        MAX_SKILL_DESCRIPTION_LENGTH,
        SKILLS_SYSTEM_PROMPT,
        SkillMetadata,
        SkillsMiddleware,
        SkillsState,
        SkillsStateUpdate,
        SkillToolResolver,
    )
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from langgraph.runtime import Runtime
except ImportError as error:
    raise ConfigError(
        "this adapter needs deepagents, which is not installed or too old: pip install --upgrade deepagents"
    ) from error

BackendPath = Callable[[Path], str]


class SnapshotSkillsMiddleware(SkillsMiddleware):
    """`SkillsMiddleware` with the skills of `workspace`, in each run as they are when it begins.

    It takes the place of `create_deep_agent(skills=…)`::

        backend = FilesystemBackend(root_dir="/srv/agent")
        with skills_refresh.watch("/srv/agent/skills") as workspace:
            agent = create_deep_agent(
                model, backend=backend, middleware=[SnapshotSkillsMiddleware(workspace, backend=backend)]
            )

    The general-purpose subagent has it too; another subagent takes it in its own `middleware`. A thread that was begun
    before, even by another process, has the current skills in its next run.

    The model reads a skill through `backend`. `backend_path` makes the path of a file on disk into that under which
    `backend` has it. By default that is the same path, and below `root_dir` for a `FilesystemBackend` whose paths are
    virtual; then `ConfigError` is raised where a root lies outside. `system_prompt` and `tools` are those of
    `SkillsMiddleware`. It subscribes to nothing: when the workspace is closed, its last skills stay.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        backend: BackendProtocol,
        backend_path: BackendPath | None = None,
        system_prompt: str | None = SKILLS_SYSTEM_PROMPT,
        tools: Sequence[BaseTool | Callable[..., object]] | SkillToolResolver[None] | None = None,
    ) -> None:
        path_of = backend_path or _backend_path(backend)
        # The framework tells the model that the last source has the highest priority. Ours is the first.
        sources = [_source(root.path, path_of) for root in reversed(workspace.roots)]
        super().__init__(backend=backend, sources=sources, system_prompt=system_prompt, tools=tools)
        self._converted = ConvertedSkills(workspace, lambda skill: _metadata(skill, path_of))

    @property
    def name(self) -> str:
        """The name by which the framework puts it where its own would be."""
        return "SkillsMiddleware"

    def before_agent(self, state: SkillsState, runtime: Runtime, config: RunnableConfig) -> SkillsStateUpdate | None:
        """Puts the current skills into `state` where it has others. The framework calls it as a run begins."""
        current = list(self._converted.current().values())
        if state.get("skills_metadata") == current and not state.get("skills_load_errors"):
            return None
        return SkillsStateUpdate(skills_metadata=current, skills_load_errors=[])

    async def abefore_agent(
        self, state: SkillsState, runtime: Runtime, config: RunnableConfig
    ) -> SkillsStateUpdate | None:
        """Like `before_agent`, which takes no time worth a thread."""
        return self.before_agent(state, runtime, config)


def _backend_path(backend: BackendProtocol) -> BackendPath:
    """How `backend` calls a file on disk."""
    if not isinstance(backend, FilesystemBackend) or not backend.virtual_mode:
        return str
    directory = backend.cwd

    def below(path: Path) -> str:
        # Resolved only where it must be: what a link leads to may change while the skill stays.
        known = path if path.is_relative_to(directory) else path.resolve()
        return f"/{known.relative_to(directory).as_posix()}"

    return below


def _source(root: str, path_of: BackendPath) -> str:
    try:
        return path_of(Path(root))
    except ValueError as error:
        raise ConfigError(
            f"the backend has no path for the root {root}: give the backend a root_dir above it, or a backend_path"
        ) from error


def _metadata(skill: Skill, path_of: BackendPath) -> SkillMetadata:
    """`skill` as the framework holds it, with texts that are too long cut as it cuts them."""
    fields = optional_fields(skill)
    return SkillMetadata(
        name=skill.name,
        description=skill.description[:MAX_SKILL_DESCRIPTION_LENGTH],
        path=path_of(skill.location),
        license=fields.license,
        compatibility=fields.compatibility and fields.compatibility[:MAX_SKILL_COMPATIBILITY_LENGTH],
        metadata=fields.metadata_texts(),
        allowed_tools=fields.allowed_tools,
    )
