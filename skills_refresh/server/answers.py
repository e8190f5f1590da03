"""What the answers look like: the shapes that `/openapi.json` shows to whoever writes a client. Answers are encoded by
`encoding` and not by these models; a test compares real ones with them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..health import Cause, Mode
from ..problems import Severity

_VERSION = Field(description="Increases, over restarts too.", examples=[1795262441020])
_PROMPT_VERSION = Field(description="The version at which the prompt last differed.", examples=[1795262441020])
_DIGEST = Field(
    description="The same for the same skills, on every machine.",
    examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
)


class Answer(BaseModel):
    """An object of which every field is named here."""

    model_config = ConfigDict(extra="forbid")


class VersionAnswer(Answer):
    """Which snapshot is current."""

    version: int = _VERSION
    prompt_version: int = _PROMPT_VERSION
    digest: str = _DIGEST


class ProblemAnswer(Answer):
    """Something that is wrong with a file."""

    code: str = Field(examples=["invalid-yaml"])
    severity: Severity
    path: str = Field(examples=["/srv/skills/pdf/SKILL.md"])
    message: str = Field(examples=["line 3: mapping values are not allowed in this context"])
    cure: str = Field(examples=["Mend the YAML between the lines of three dashes."])


class SkillAnswer(Answer):
    """One skill, as a list shows it."""

    name: str = Field(examples=["pdf"])
    description: str = Field(examples=["Reads and writes PDF files."])
    location: str = Field(description="Its SKILL.md.", examples=["/srv/skills/pdf/SKILL.md"])
    root: str = Field(examples=["/srv/skills"])
    digest: str = Field(
        description="Of its SKILL.md.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    files: int = Field(description="How many relevant files it has, SKILL.md among them.", examples=[3])
    shadows: list[str] = Field(description="Other skills of this name, which come later.", examples=[[]])


class HiddenAnswer(Answer):
    """A skill that must not be used."""

    name: str = Field(examples=["video"])
    location: str = Field(description="Its SKILL.md.", examples=["/srv/skills/video/SKILL.md"])
    reason: str = Field(examples=["needs the program ffmpeg: install it, or put it on the PATH"])


class SnapshotAnswer(VersionAnswer):
    """All skills and problems."""

    skills: list[SkillAnswer]
    problems: list[ProblemAnswer]
    hidden: list[HiddenAnswer] = Field(default=[], description="Left out where none are.")


class FileAnswer(Answer):
    """One relevant file of a skill."""

    path: str = Field(description="Relative to the skill.", examples=["scripts/extract.py"])
    size: int = Field(description="In bytes.", examples=[1204])
    sha256: str | None = Field(
        description="None for files over a megabyte.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    mtime_ns: int | None = Field(description="Of files without a hash.", examples=[None])


class SkillDetailsAnswer(Answer):
    """One skill with everything that is known of it."""

    name: str = Field(examples=["pdf"])
    description: str = Field(examples=["Reads and writes PDF files."])
    location: str = Field(examples=["/srv/skills/pdf/SKILL.md"])
    root: str = Field(examples=["/srv/skills"])
    digest: str = Field(examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    shadows: list[str] = Field(examples=[[]])
    frontmatter: dict[str, object] = Field(examples=[{"name": "pdf", "description": "Reads and writes PDF files."}])
    files: list[FileAnswer]
    instructions: str = Field(examples=["# PDF\n\nTo extract text, run scripts/extract.py.\n"])


class CompleteSkillAnswer(Answer):
    """One skill with its bytes."""

    name: str = Field(examples=["pdf"])
    description: str = Field(examples=["Reads and writes PDF files."])
    root: str = Field(examples=["/srv/skills"])
    relative_location: str = Field(examples=["pdf/SKILL.md"])
    files: list[tuple[str, int, str | None, int | None]] = Field(description="Path, size, sha256, mtime_ns.")
    frontmatter: dict[str, object]
    source: str = Field(description="The bytes of SKILL.md in base64.")
    body_offset: int = Field(description="Where in these bytes the instructions begin.", examples=[54])


class CompleteHiddenAnswer(Answer):
    """A skill that must not be used, with its bytes."""

    skill: CompleteSkillAnswer
    reason: str = Field(examples=["needs the program ffmpeg: install it, or put it on the PATH"])


class CompleteAnswer(VersionAnswer):
    """A snapshot with all that it holds, or what of it differs from an earlier one."""

    previous: int | None = Field(description="The version that `skills` differ from; null where these are all.")
    skills: list[CompleteSkillAnswer]
    removed: list[str] = Field(description="Names of skills that are gone since then.")
    problems: list[ProblemAnswer]
    files: dict[str, tuple[str, int, str | None, int | None]] = Field(description="Of no skill, by absolute path.")
    hidden: list[CompleteHiddenAnswer] = Field(default=[], description="All of them; left out where none are.")


class RootAnswer(Answer):
    """How one root is watched."""

    path: str = Field(examples=["/srv/skills"])
    mode: Mode
    reason: Cause
    message: str = Field(examples=[""])
    cure: str = Field(examples=[""])
    watched_dirs: int = Field(examples=[6])
    polled_dirs: int = Field(examples=[0])
    poll_interval: float | None = Field(description="In seconds.")
    poll_seconds: float | None = Field(description="What a look takes.")
    last_event: float | None = Field(description="In seconds since the epoch.")
    last_audit: float | None
    found_by_audit: int = Field(examples=[0])
    instances_replaced: int = Field(examples=[0])
    failures: int = Field(examples=[0])


class HealthAnswer(Answer):
    """How all roots of a workspace are watched."""

    roots: list[RootAnswer]


class PrunedAnswer(Answer):
    """A directory that is left out."""

    path: str = Field(examples=["/srv/skills/pdf/.venv"])
    rule: str = Field(examples=["built-in exclude .venv/"])
    files: int = Field(examples=[11024])
    complete: bool = Field(description="False where there are more files than were counted.")


class DiagnosisAnswer(Answer):
    """What of one root is relevant, and what is left out."""

    path: str = Field(examples=["/srv/skills"])
    directories: int = Field(examples=[6])
    files: int = Field(examples=[12])
    pruned: list[PrunedAnswer]


class DoctorAnswer(Answer):
    """What watching costs."""

    roots: list[DiagnosisAnswer]
    kernel_watches: int | None = Field(description="Of this process, for all workspaces.", examples=[6])
    max_user_watches: int | None = Field(examples=[524288])


class RefreshRequest(Answer):
    """Why everything is to be listed anew."""

    reason: Literal["manual", "remote"] = "manual"


class ReadyAnswer(Answer):
    """Whether all skills were read, and every root that must be there is."""

    ready: bool
    why: list[str] = Field(description="What is not as it should be.", examples=[[]])


class RefusalAnswer(Answer):
    """Why a request was not answered: problem details, RFC 9457."""

    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no skill 'pfd'"])
    cure: str = Field(default="", examples=["Ask for /v1/snapshot to see which there are."])


class IndexEntry(Answer):
    """One skill that can be installed."""

    name: str = Field(examples=["pdf"])
    type: Literal["skill-md", "archive"]
    description: str
    url: str = Field(examples=["pdf/SKILL.md"])
    digest: str = Field(description="Of what is at the URL.")


class IndexAnswer(BaseModel):
    """The discovery index, version 0.2.0."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: str = Field(alias="$schema", examples=["https://schemas.agentskills.io/discovery/0.2.0/schema.json"])
    skills: list[IndexEntry]
