"""Makes trees of skills of any size, for the benchmark, for tests, and to try things out.

`plain` skills are well-formed and all alike: three files in two subdirectories. `wild` ones are as odd as those that
people publish, at the same rates. `venv` and `svg` are 20 plain skills, one of which holds a great many files that are
no business of a watcher. The same arguments make the same bytes. Nothing here, in `plain_tree.py` and `wild_tree.py`
imports `skills_refresh`: what judges the package must not lean on it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from plain_tree import make_plain, make_svg, make_venv
from wild_tree import make_wild


def main() -> None:
    """The command line."""
    kinds: dict[str, Callable[[Path, argparse.Namespace], None]] = {
        "plain": lambda root, given: make_plain(root, given.skills),
        "wild": lambda root, given: make_wild(root, given.skills, seed=given.seed),
        "venv": lambda root, given: make_venv(root, given.skills),
        "svg": lambda root, given: make_svg(root, given.skills),
    }
    parser = argparse.ArgumentParser(description="Makes a tree of skills.")
    parser.add_argument("directory", type=Path, help="where to; it is made, or must be empty")
    parser.add_argument("--skills", type=int, default=20, metavar="N", help="how many skills (default: 20)")
    parser.add_argument("--kind", choices=kinds, default="plain", help="what kind of tree (default: plain)")
    parser.add_argument("--seed", type=int, default=0, help="another one, another wild tree (default: 0)")
    given = parser.parse_args()
    root: Path = given.directory
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        parser.error(f"{root}: is not empty; name another directory, or empty it first")
    kinds[given.kind](root, given)
    made = [(len(directories), len(files)) for _, directories, files in os.walk(root)]
    print(f"{root}: {sum(files for _, files in made):,} files in {1 + sum(below for below, _ in made):,} directories")


if __name__ == "__main__":
    main()
