"""Well-formed skills, all alike, and what may lie inside of one: an installed environment, an icon pack."""

from __future__ import annotations

from pathlib import Path

VENV_PACKAGES, FILES_PER_PACKAGE = 424, 26  # 11,024 files
SVG_FILES = 37_439
SVG_STYLES = ("outline", "filled", "duotone", "sharp", "rounded")

VERBS = "review write plan test deploy explain convert extract compare clean draft trace migrate audit chart".split()
NOUNS = "tables invoices releases queries diagrams contracts forms logs schemas reports slides images tickets".split()
LINES = tuple(
    f"{number}. {verb.capitalize()} the {noun} — step by step, and say what you found."
    for number, (verb, noun) in enumerate(((verb, noun) for verb in VERBS for noun in NOUNS), 1)
)


def make_plain(root: Path, skills: int, *, prefix: str = "skill") -> None:
    """Writes `skills` well-formed skills below `root`: with it, three files and three directories a skill and one."""
    for number in range(skills):
        write_plain_skill(root / f"{prefix}-{number:05}")


def write_plain_skill(directory: Path) -> None:
    """Writes one well-formed skill of three files and two subdirectories."""
    (directory / "scripts").mkdir(parents=True)
    (directory / "references").mkdir()
    (directory / "SKILL.md").write_bytes(plain_skill_text(directory.name))
    (directory / "scripts/run.py").write_bytes(b'"""Does the work."""\n\nprint("done")\n')
    (directory / "references/notes.md").write_bytes(b"# Notes\n\nWhat is good to know.\n")


def plain_skill_text(name: str, remark: str = "") -> bytes:
    """The `SKILL.md` of a plain skill, about 700 bytes; `remark` is its last line."""
    body = "\n".join(LINES[:8])
    description = f"Does what {name} is for. Use it when the user asks for {name}, or for something like it."
    return f"---\nname: {name}\ndescription: {description}\n---\n\n# {name}\n\n{body}\n{remark}\n".encode()


def make_venv(root: Path, skills: int = 20) -> None:
    """Writes plain skills, the first of them with a `.venv` of 11,024 files."""
    make_plain(root, skills)
    packages = root / "skill-00000/.venv/lib/python3.11/site-packages"
    for package in range(VENV_PACKAGES):
        directory = packages / f"package_{package:03}"
        directory.mkdir(parents=True)
        for module in range(FILES_PER_PACKAGE):
            (directory / f"module_{module:02}.py").write_bytes(b"VALUE = 1\n")


def make_svg(root: Path, skills: int = 20) -> None:
    """Writes plain skills, the first of them with an icon pack of 37,439 SVGs in a handful of directories."""
    make_plain(root, skills)
    directories = [root / "skill-00000/assets/icons" / style for style in SVG_STYLES]
    for directory in directories:
        directory.mkdir(parents=True)
    for number in range(SVG_FILES):
        icon = directories[number % len(directories)] / f"icon-{number:05}.svg"
        icon.write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>\n')
