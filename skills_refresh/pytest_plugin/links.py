"""The links of a text in Markdown that should lead to a file beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from markdown_it.token import Token

# What begins with a scheme, a slash or a tilde leads elsewhere. Braces, dollars and angle brackets stand for
# something that a gateway or a reader puts in their place, as in {baseDir}/run.py.
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|[/~]|.*[{}$<>]", re.IGNORECASE)


class Link(NamedTuple):
    """A link to `path`, relative to the text's directory, in a line of the text, counted from 1."""

    path: str
    line: int


def relative_links(text: str) -> Iterator[Link]:
    """The links and images of `text` that lead to files, without their anchors and queries. What stands in code is no
    link."""
    from markdown_it import MarkdownIt  # here, so that the plugin can say that it is missing

    # Not told of tables, whose cells have no lines: so the rows of one are lines of a paragraph.
    for block in MarkdownIt("commonmark").parse(text):
        if block.children and block.map is not None:
            yield from _in_block(block.children, block.map[0] + 1)


def _in_block(tokens: list[Token], line: int) -> Iterator[Link]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            line += 1
        target = token.attrGet("href" if token.type == "link_open" else "src")
        if isinstance(target, str):
            path = unquote(re.split("[#?]", target)[0])
            if path and not _ELSEWHERE.match(path):
                yield Link(path, line)
