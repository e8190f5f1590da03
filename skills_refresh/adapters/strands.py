"""Strands Agents: the plugin `AgentSkills`, whose skills are those of a workspace. Needs `strands-agents`.

The framework's plugin takes its skills when it is made, and others by `set_available_skills`, which changes them for
all of its agents at once, in the middle of their turns. So nothing is pushed and that is not called: the hook at the
beginning of each turn, on the turn's own thread, puts the current skills where the plugin has those of this one agent.
"""

from __future__ import annotations

from ..errors import ConfigError
from ..model import Skill
from ..workspace import Workspace
from .conversion import ConvertedSkills
from .optional_fields import optional_fields

try:
    from strands import Agent
    from strands.hooks import BeforeInvocationEvent
    from strands.vended_plugins.skills import AgentSkills
    from strands.vended_plugins.skills import Skill as StrandsSkill
except ImportError as error:
    raise ConfigError(
        "this adapter needs strands-agents, which is not installed or too old: pip install --upgrade strands-agents"
    ) from error


class SnapshotAgentSkills(AgentSkills):
    """`AgentSkills` with the skills of `workspace`, in each turn as they are when it begins.

    It takes the place of `AgentSkills(skills=…)`::

        with skills_refresh.watch("skills") as workspace:
            agent = Agent(plugins=[SnapshotAgentSkills(workspace)])

    Several agents may share one, also on several threads: each keeps the skills of its turn until that ends. It
    subscribes to nothing: when the workspace is closed, its last skills stay. `max_resource_files` bounds how many
    files of a skill the tool `skills` lists.
    """

    def __init__(self, workspace: Workspace, *, max_resource_files: int = 20) -> None:
        self._converted = ConvertedSkills(workspace, _strands_skill)
        super().__init__(list(self._converted.current().values()), max_resource_files=max_resource_files)

    async def init_agent(self, agent: Agent) -> None:
        """Makes `agent` ask for the current skills at the beginning of each turn. The framework calls it."""
        # Here, so that it is called before the plugin's own hook, which is added later and writes the prompt.
        agent.add_hook(self._catch_up, BeforeInvocationEvent)
        await super().init_agent(agent)

    def _catch_up(self, event: BeforeInvocationEvent) -> None:
        self._skills = self._agent_skills[event.agent] = dict(self._converted.current())


def _strands_skill(skill: Skill) -> StrandsSkill:
    fields = optional_fields(skill)
    return StrandsSkill(
        name=skill.name,
        description=skill.description,
        instructions=skill.instructions().strip(),
        path=skill.directory,
        allowed_tools=fields.allowed_tools or None,
        metadata=fields.metadata,
        license=fields.license,
        compatibility=fields.compatibility,
    )
