"""A skill that has every field of the specification, to compare what is made of them."""

from __future__ import annotations


def full_skill(allowed_tools: str) -> str:
    """Its `SKILL.md`, for a skill called `pdf`; each framework has a form of its own for `allowed_tools`."""
    return f"""\
---
name: pdf
description: Reads them.
license: MIT
compatibility: Needs git
allowed-tools: {allowed_tools}
metadata:
  author: Ann
---
Do it.
"""
