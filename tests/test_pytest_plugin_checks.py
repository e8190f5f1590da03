"""Which links of a text lead to files, and which files do not parse: what `pytest --skills` looks at beside a scan."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

pytest.importorskip("markdown_it")

from skills_refresh.pytest_plugin.links import Link, relative_links
from skills_refresh.pytest_plugin.scripts import why_broken

LINKS: dict[str, tuple[str, list[Link]]] = {
    "a link and an image": ("[a](a.md) ![b](img/b.png)", [Link("a.md", 1), Link("img/b.png", 1)]),
    "in a later line of a paragraph": ("one\ntwo  \nthree [a](a.md)\n", [Link("a.md", 3)]),
    "in a heading and a list": ("# [a](a)\n\n- x\n- [b](b)\n", [Link("a", 1), Link("b", 4)]),
    "in a quote": ("> x\n> [c](c)\n", [Link("c", 2)]),
    "in a table": ("| h |\n|---|\n| x |\n| [a](a) |\n", [Link("a", 4)]),
    "by reference": ("See [a] and [b][ref].\n\n[a]: a.md\n[ref]: b.md 'title'\n", [Link("a.md", 1), Link("b.md", 1)]),
    "an image that is a link": ("[![i](i.png)](a.md)", [Link("a.md", 1), Link("i.png", 1)]),
    "escaped and with blanks": ("[a](%C3%A9%20a.md) [b](<c d.md>)", [Link("é a.md", 1), Link("c d.md", 1)]),
    "with an anchor or a query": ("[a](a.md#part) [b](b.md?x=1)", [Link("a.md", 1), Link("b.md", 1)]),
    "with a number sign in its name": ("[a](a%23b.md)", [Link("a#b.md", 1)]),
    "to other places": ("[a](#part) [b](http://x/y) [c](mailto:x@y) [d](/etc/x) [e](//x/y) <https://x/y> [f]()", []),
    "to what is filled in": ("[a]({baseDir}/a.md) [b](${ROOT}/b.md) [c](~/c.md) [d](%3Cname%3E.md)", []),
    "in code": ("`[a](a.md)`\n\n```\n[b](b.md)\n```\n\n    [c](c.md)\n", []),
    "in HTML": ("<a href='a.md'>a</a>\n\n<img src='b.png'>\n", []),
    "in a comment": ("<!-- [a](a.md) -->", []),
    "no links": ("[a] (a.md) \\[b](b.md)", []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LINKS.values(), ids=LINKS)
def test_the_links_that_lead_to_files(text: str, expected: list[Link]) -> None:
    assert list(relative_links(text)) == expected


# A file's name, its content, and the line of what does not parse; 0 where no line is told, None where it parses.
FILES: dict[str, tuple[str, bytes, int | None]] = {
    "Python": ("run.py", b"print()\n", None),
    "Python with an error": ("run.py", b"x = 1\n\nif x\n", 3),
    "Python that no function holds": ("run.py", b"x = 1\nreturn x\n", 2),
    "Python in another encoding": ("run.py", b"# coding: latin-1\nx = '\xe9'\n", None),
    "Python with NUL bytes": ("run.py", b"x = 1\0", 0),
    "Python nested too deeply": ("run.py", b"(" * 5_000, 1),
    "a stub": ("run.pyi", b"def f(: ...\n", 1),
    "a name in capitals": ("RUN.PY", b"if\n", 1),
    "a shell script": ("run.sh", b"#!/usr/bin/env bash\nfor x in *; do echo; done\n", None),
    "a shell script with an error": ("run.sh", b"echo\nif true; then\nfi\n", 3),
    "another error": ("run.bash", b"echo 'x\n", 1),
    "a script for another shell": ("run.sh", b"#!/usr/bin/env fish\nif true\nend\n", None),
    "JSON": ("a.json", b'\xef\xbb\xbf{"a": 1}', None),
    "JSON with an error": ("a.json", b'{\n"a": 1\n"b": 2}', 3),
    "JSON in another encoding": ("a.json", b'"\xe9"', 0),
    "JSON nested too deeply": ("a.json", b"[" * 100_000, 0),
    "TOML": ("a.toml", b"a = 1\n", None),
    "TOML with an error": ("a.toml", b"a = 1\nb = \n", 2),
    "TOML in another encoding": ("a.toml", b"a = '\xe9'\n", 0),
    "YAML": ("a.yaml", b"a: !Ref b\n---\nc: *d\n", None),
    "YAML with an error": ("a.yml", b"a: 1\nb: [\n", 3),
    "YAML with a control character": ("a.yml", b"a: \x01\n", 0),
    "YAML nested too deeply": ("a.yml", b"a:\n " + b"[" * 1_000 + b"]" * 1_000, 0),
    "Python with what could be a blank of a template": ("run.py", b"print(f'{{x}}'\n", 1),
    "JSON that may hold comments": ("tsconfig-strict.json", b"{ // comment\n}", None),
    "what is not looked into": ("a.js", b"if (", None),
    "what has no extension": ("Makefile", b"\0", None),
}


@pytest.mark.parametrize(("name", "content", "line"), FILES.values(), ids=FILES)
def test_what_does_not_parse_is_told_with_its_line(name: str, content: bytes, line: int | None) -> None:
    if name.endswith("sh") and shutil.which("bash") is None:
        pytest.skip("needs a bash")
    broken = why_broken(name, content)
    assert (None if broken is None else broken.line or 0) == line
    assert broken is None or broken.message.startswith("is no ")


def test_a_script_that_only_warns_parses_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert why_broken("run.py", b"x = '\\d'\nassert (x, 'y')\n") is None


def test_what_bash_reads_first_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environment").write_text("fi\n")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "environment"))
    assert why_broken("run.sh", b"echo\n") is None


def test_what_is_checked_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert why_broken("run.sh", b"touch ran; $(touch ran)\n") is None
    assert why_broken("run.py", b"open('ran', 'w')\n") is None
    assert list(tmp_path.iterdir()) == []
