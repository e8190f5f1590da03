"""The bytes of a `SKILL.md` become fields and problems. Touches no disk and never raises, for any bytes.

The rules are those of the Agent Skills specification, read the way its users write: a byte order mark and CRLF are
fine, an unquoted colon is mended once, unknown fields are kept. What stops a skill from loading is told with severity
`error`; everything else is loaded and told.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, NamedTuple

from .escaping import printable

if TYPE_CHECKING:
    from yaml import Event, Node, SafeLoader

NAME_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 64
MAX_DESCRIPTION_LENGTH = 1_024
MAX_COMPATIBILITY_LENGTH = 500
# Aliases let a few hundred bytes of YAML describe billions of nodes ("billion laughs"). The largest frontmatter in
# 2,202 real skills has under 200.
MAX_NODES = 10_000
MAX_NESTING = 32
# Python refuses to write out integers of more than 4,300 digits, and no field needs a hundred.
MAX_NUMBER_BITS = 1_024

_SEQUENCE = "tag:yaml.org,2002:seq"
_BOM = b"\xef\xbb\xbf"
_OPENING_FENCE = re.compile(rb"---[ \t]*\r?(?:\n|\Z)")
_FENCE_LINE = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
# "key: some text: more" — a plain scalar that holds a colon, which YAML refuses and people write all the time.
_UNQUOTED_COLON = re.compile(r"^([A-Za-z_][\w-]*):[ \t]+([^\s\"'\[{|>&*!#%@`].*:(?:[ \t].*)?)$", re.MULTILINE)

# Lines of a key and printable ASCII that begins with a letter, without colon and number sign: nothing that YAML gives a
# meaning to, but for the words that are no text to it.
_PLAIN_LINES = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_-]{0,99}: [A-Za-z](?:[ -\"$-9;-~]*[!-\"$-9;-~])?\n)+")
_NOT_TEXT = frozenset("y n yes no true false on off null".split())


class Finding(NamedTuple):
    """A problem before it has a path: its code and its message."""

    code: str
    message: str


class Frontmatter(NamedTuple):
    """What a `SKILL.md` says of itself. The body begins at byte `body_offset`."""

    name: str
    description: str
    fields: Mapping[str, object]
    body_offset: int


def parse_frontmatter(source: bytes, directory_name: str) -> tuple[Frontmatter | None, list[Finding]]:
    """The frontmatter of `source`, or None where the skill cannot be loaded, and what is to be told of it.

    `directory_name` is what the specification wants the skill's name to be, and its name where it has none. Never
    raises. Safe from any thread.
    """
    findings: list[Finding] = []
    split = _split(source)
    if isinstance(split, Finding):
        return None, [split]
    header, body_offset = split
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        findings.append(Finding("invalid-utf8", f"byte {error.start + 1} is not UTF-8"))
    if b"\0" in source[body_offset:]:
        findings.append(Finding("nul-bytes", "the instructions hold NUL bytes"))
    fields = _fields(header.decode("utf-8", "replace"), findings)
    if fields is None:
        return None, findings
    description = _description(fields, findings)
    name = _name(fields.texts, directory_name, findings)
    if description is None:
        return None, findings
    _check_compatibility(fields.texts, findings)
    _check_kinds(fields, findings)
    return Frontmatter(name, description, fields.values, body_offset), findings


def _split(source: bytes) -> tuple[bytes, int] | Finding:
    """The YAML between the fences and the offset of the body, or why there is none."""
    start = len(_BOM) if source.startswith(_BOM) else 0
    opening = _OPENING_FENCE.match(source, start)
    if opening is None:
        late = _FENCE_LINE.search(source, start)
        reason = "the frontmatter is not at the start of the file" if late else "there is no frontmatter"
        return Finding("no-frontmatter", reason)
    closing = _FENCE_LINE.search(source, opening.end())
    if closing is None:
        return Finding("unclosed-frontmatter", "the frontmatter has no closing line of three dashes")
    return source[opening.end() : closing.start()], min(closing.end() + 1, len(source))


def _fields(text: str, findings: list[Finding]) -> _Fields | None:
    try:
        return _load(text)
    except _YamlRefused as refused:
        repaired, count = _UNQUOTED_COLON.subn(_quote, text)
        try:
            fields = _load(repaired) if count else None
        except _YamlRefused:
            fields = None
        if fields is None:
            findings.append(Finding("invalid-yaml", str(refused)))
            return None
        findings.append(Finding("repaired-frontmatter", "a value with an unquoted colon was read as if it were quoted"))
        return fields


def _quote(match: re.Match[str]) -> str:
    value = match.group(2).rstrip()
    return f"{match.group(1)}: '" + value.replace("'", "''") + "'"


class _YamlRefused(Exception):
    """The YAML cannot be read; the message is for the user."""


class _Fields(NamedTuple):
    """The fields as values, and the texts of those that are single values, as they were written: a skill called `on`
    or `010` is called so, whatever YAML makes of it."""

    values: Mapping[str, object]
    texts: Mapping[str, str]


def _load(text: str) -> _Fields:
    """Safe YAML as plain, immutable data that JSON can hold.

    Most frontmatter is a few lines of `key: some words`, which YAML cannot read in two ways. Those are split here: 3
    microseconds instead of 13 to 20 in libyaml, a tenth of the time that opening 1,000 skills takes. A property test
    holds both to the same answer.
    """
    if _PLAIN_LINES.fullmatch(text):
        fields = dict(line.split(": ", 1) for line in text.splitlines())
        if _NOT_TEXT.isdisjoint(map(str.lower, (*fields, *fields.values()))):
            return _Fields(MappingProxyType(fields), fields)
    return _load_yaml(text)


def _load_yaml(text: str) -> _Fields:
    import yaml  # here, because a gateway with no skills need not pay for it

    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if sum(map(text.count, ("[", "{", "- ", "? "))) > MAX_NESTING:
        _check_nesting(yaml.parse(text, loader_class))
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return _Fields({}, {})
        values = _Freezer(loader).freeze(node)
        if not isinstance(values, Mapping):
            raise _YamlRefused("the frontmatter does not consist of fields (key: value)")
        texts = {key.value: value.value for key, value in node.value if _is_text(key) and _is_text(value)}
        return _Fields(values, texts)
    except _YamlRefused:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        # The opening fence is line 1, and marks count from 0.
        where = f"line {mark.line + 2}: " if mark is not None else ""
        raise _YamlRefused(f"{where}{error.problem or error.context or 'malformed'}") from error
    except Exception as error:
        # The loader's constructors raise nearly everything: a thirteenth month, a number of ten thousand digits, a tag
        # that does not fit its value.
        raise _YamlRefused(f"a value cannot be read ({str(error).partition(chr(10))[0]})") from error
    finally:
        loader.dispose()


def _check_nesting(events: Iterable[Event]) -> None:
    """Refuses nesting that would overflow the C stack of the loader, which composes nodes recursively."""
    depth = 0
    try:
        for event in events:
            depth += 1 if event.__class__.__name__ in ("MappingStartEvent", "SequenceStartEvent") else 0
            depth -= 1 if event.__class__.__name__ in ("MappingEndEvent", "SequenceEndEvent") else 0
            if depth > MAX_NESTING:
                raise _YamlRefused("the frontmatter is nested too deeply")
    except _YamlRefused:
        raise
    except Exception:
        return  # malformed: the loader says so in better words


def _is_text(node: Node) -> bool:
    return isinstance(node.value, str) and node.tag != "tag:yaml.org,2002:null"


class _Freezer:
    """Makes immutable data of YAML nodes, within a budget. Nodes are shared by aliases, so they are counted on the way
    and not after they were unfolded."""

    def __init__(self, loader: SafeLoader) -> None:
        self._loader = loader
        self._left = MAX_NODES

    def freeze(self, node: Node, depth: int = 0) -> object:
        self._left -= 1
        if self._left < 0 or depth > MAX_NESTING:
            raise _YamlRefused("the frontmatter unfolds into too many values")
        tag, value = node.tag, node.value
        # A tag may be written before anything: that the value is of its kind must be looked at too.
        if tag == "tag:yaml.org,2002:str" and isinstance(value, str):
            return value
        if tag == "tag:yaml.org,2002:map" and isinstance(value, list):
            return self._freeze_mapping(node, depth)
        if tag == _SEQUENCE and isinstance(value, list):
            return tuple(self.freeze(item, depth + 1) for item in value)
        return _plain(self._loader.construct_object(node, deep=True))

    def _freeze_mapping(self, node: Node, depth: int) -> Mapping[str, object]:
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                own[str(self.freeze(key, depth + 1))] = self.freeze(value, depth + 1)
                continue
            for source in value.value if value.tag == _SEQUENCE else [value]:
                fields = self.freeze(source, depth + 1)
                if not isinstance(fields, Mapping):
                    raise _YamlRefused("a merge key (<<) names something that is not a list of fields")
                merged = {**fields, **merged}
        return MappingProxyType({**merged, **own})


def _plain(value: object) -> object:
    """A value of one of YAML's other types, as JSON can hold it."""
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
        raise ValueError("a number is too large")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError("sets, pairs and ordered maps are not fields")


def _description(fields: _Fields, findings: list[Finding]) -> str | None:
    text = fields.texts.get("description", "").strip()
    if not text:
        is_other = "description" not in fields.texts and fields.values.get("description") is not None
        message = "the description is no text" if is_other else "the frontmatter has no description"
        findings.append(Finding("missing-description", message))
        return None
    if len(text) > MAX_DESCRIPTION_LENGTH:
        findings.append(
            Finding("long-description", f"the description has {len(text)} characters, over {MAX_DESCRIPTION_LENGTH}")
        )
    return text


def _name(texts: Mapping[str, str], directory_name: str, findings: list[Finding]) -> str:
    name = texts.get("name", "").strip()
    if not name:
        findings.append(Finding("missing-name", f"the frontmatter has no name; {printable(directory_name)!r} is used"))
        return directory_name
    if len(name) > MAX_NAME_LENGTH or not NAME_PATTERN.fullmatch(name):
        findings.append(Finding("invalid-name", f"the name '{printable(name)}' breaks the specification"))
    if name != directory_name:
        findings.append(
            Finding("name-mismatch", f"the name is '{printable(name)}', the directory '{printable(directory_name)}'")
        )
    return name


def _check_compatibility(texts: Mapping[str, str], findings: list[Finding]) -> None:
    length = len(texts.get("compatibility", "").strip())
    if length > MAX_COMPATIBILITY_LENGTH:
        message = f"the compatibility has {length} characters, over {MAX_COMPATIBILITY_LENGTH}"
        findings.append(Finding("long-compatibility", message))


def _check_kinds(fields: _Fields, findings: list[Finding]) -> None:
    """Of 2,202 real skills none breaks this. It is more lenient than the specification, as readers are: metadata may
    hold anything, and the allowed tools may be a list."""
    for name in ("license", "compatibility", "allowed-tools"):
        value = fields.values.get(name)
        if value is None or name in fields.texts or (name == "allowed-tools" and isinstance(value, tuple)):
            continue
        findings.append(Finding("invalid-field", f"{name} must be text"))
    if not isinstance(fields.values.get("metadata"), (Mapping, NoneType)):
        findings.append(Finding("invalid-field", "metadata must be fields (key: value) of its own"))
