"""The bytes of a SKILL.md: what is read of them, what is told, and that none of them hurts."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skills_refresh.freezing import plain
from skills_refresh.frontmatter import Frontmatter, parse_frontmatter
from skills_refresh.problems import CODES

HEADER = "---\nname: pdf\ndescription: Does it.\n"
LAUGHS = "".join(f"l{number}: &l{number} [{', '.join([f'*l{number - 1}'] * 9)}]\n" for number in range(1, 10))
MERGED_LAUGHS = "".join(
    f"m{number}: &m{number} {{<<: [{', '.join([f'*m{number - 1}'] * 9)}]}}\n" for number in range(1, 10)
)


def parse(source: str | bytes, directory_name: str = "pdf") -> tuple[Frontmatter | None, list[str]]:
    """The frontmatter and the codes of the findings."""
    frontmatter, findings = parse_frontmatter(source if isinstance(source, bytes) else source.encode(), directory_name)
    return frontmatter, [finding.code for finding in findings]


def fields(yaml: str) -> dict[str, object]:
    """The fields, beside name and description, of a skill with `yaml` in its frontmatter."""
    frontmatter, _ = parse(f"{HEADER}{yaml}\n---\n")
    assert frontmatter is not None
    return {key: value for key, value in frontmatter.fields.items() if key not in ("name", "description")}


def message(source: str | bytes) -> str:
    """What the only finding says."""
    _, [finding] = parse_frontmatter(source if isinstance(source, bytes) else source.encode(), "pdf")
    return finding.message


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param(f"{HEADER}---\nDo it.\n", [], id="well-formed"),
        pytest.param(f"\ufeff{HEADER}---\nDo it.\n", [], id="byte order mark"),
        pytest.param(f"{HEADER}---\nDo it.\n".replace("\n", "\r\n"), [], id="CRLF"),
        pytest.param(f"\ufeff{HEADER}---\nDo it.\n".replace("\n", "\r\n"), [], id="byte order mark and CRLF"),
        pytest.param(f"{HEADER}--- \t\nDo it.\n", [], id="blanks after a fence"),
        pytest.param(f"{HEADER}---", [], id="closing fence at the end of the file"),
        pytest.param(f"{HEADER}---\n", [], id="no body"),
        pytest.param(f"{HEADER}---\nDo\n---\nit.\n", [], id="a rule in the body"),
        pytest.param(f"{HEADER}metadata: {{}}\n---\n", [], id="unknown field"),
        pytest.param(f"{HEADER}a: {'[' * 20}{']' * 20}\n---\n", [], id="nesting of 20 levels"),
        pytest.param(f"{HEADER}a: [{'b, ' * 1_000}]\n---\n", [], id="1,000 values"),
        pytest.param(f"{HEADER}when: a: b\n---\n", ["repaired-frontmatter"], id="unquoted colon"),
        pytest.param(f"{HEADER}---\nDo \0it.\n", ["nul-bytes"], id="NUL bytes in the body"),
        pytest.param(f"{HEADER}---\n".encode() + b"\xff\n", ["invalid-utf8"], id="invalid UTF-8 in the body"),
        pytest.param(f"{HEADER}a: ".encode() + b"\xff\n---\n", ["invalid-utf8"], id="invalid UTF-8 in the header"),
        pytest.param("---\ndescription: Does it.\n---\n", ["missing-name"], id="no name"),
        pytest.param("---\nname:\ndescription: Does it.\n---\n", ["missing-name"], id="empty name"),
        pytest.param("---\nname: [a]\ndescription: Does it.\n---\n", ["missing-name"], id="list for a name"),
        pytest.param("---\nname: docx\ndescription: Does it.\n---\n", ["name-mismatch"], id="another name"),
        pytest.param(f"---\nname: pdf\ndescription: {'x' * 1_024}\n---\n", [], id="description of 1,024 characters"),
        pytest.param(
            f"---\nname: pdf\ndescription: x\ncompatibility: {'x' * 501}\n---\n",
            ["long-compatibility"],
            id="a compatibility of 501 characters",
        ),
        pytest.param(f"---\nname: pdf\ndescription: x\ncompatibility: {'x' * 500}\n---\n", [], id="one of 500"),
        pytest.param(f"---\nname: pdf\ndescription: {'x' * 1_025}\n---\n", ["long-description"], id="1,025 characters"),
    ],
)
def test_a_skill_is_loaded_and_what_is_odd_is_told(source: str | bytes, codes: list[str]) -> None:
    frontmatter, found = parse(source)
    assert frontmatter is not None
    assert found == codes


def test_a_description_that_is_no_text_is_not_told_as_missing() -> None:
    _, findings = parse_frontmatter(b"---\nname: pdf\ndescription: [a]\n---\n", "pdf")
    assert findings == [("missing-description", "the description is no text")]
    _, findings = parse_frontmatter(b"---\nname: pdf\ndescription: ''\n---\n", "pdf")
    assert findings == [("missing-description", "the frontmatter has no description")]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param("", "no-frontmatter", id="empty file"),
        pytest.param("Do it.\n", "no-frontmatter", id="no frontmatter"),
        pytest.param(f"# PDF\n\n{HEADER}---\n", "no-frontmatter", id="frontmatter after a title"),
        pytest.param(f"\n{HEADER}---\n", "no-frontmatter", id="frontmatter after an empty line"),
        pytest.param("---", "unclosed-frontmatter", id="an opening fence alone"),
        pytest.param(HEADER, "unclosed-frontmatter", id="unclosed fence"),
        pytest.param(f"{HEADER}----\nDo it.\n", "unclosed-frontmatter", id="four dashes"),
        pytest.param("---\nname: pdf\n---\n", "missing-description", id="no description"),
        pytest.param("---\nname: pdf\ndescription: ''\n---\n", "missing-description", id="empty description"),
        pytest.param("---\nname: pdf\ndescription: [a]\n---\n", "missing-description", id="list for a description"),
        pytest.param("---\nname: pdf\ndescription: {a: b}\n---\n", "missing-description", id="map for a description"),
        pytest.param(f"{HEADER}a: [\n---\n", "invalid-yaml", id="broken YAML"),
        pytest.param(f"{HEADER}a: b: c\nd: [\n---\n", "invalid-yaml", id="broken beside an unquoted colon"),
        pytest.param("---\n- name\n- description\n---\n", "invalid-yaml", id="a list"),
        pytest.param("---\njust text\n---\n", "invalid-yaml", id="a text"),
        pytest.param(f"{HEADER}\0\n---\n", "invalid-yaml", id="NUL bytes in the header"),
        pytest.param(f"{HEADER}l0: &l0 lol\n{LAUGHS}---\n", "invalid-yaml", id="billion laughs"),
        pytest.param(f"{HEADER}m0: &m0 {{a: b}}\n{MERGED_LAUGHS}---\n", "invalid-yaml", id="billion laughs by merging"),
        pytest.param(f"{HEADER}a: &a [*a]\n---\n", "invalid-yaml", id="recursive alias"),
        pytest.param(f"{HEADER}a: {'[' * 1_000}{']' * 1_000}\n---\n", "invalid-yaml", id="deep nesting"),
        pytest.param(f"{HEADER}a: {'[' * 40}{']' * 40}\n---\n", "invalid-yaml", id="nesting of 40 levels"),
        pytest.param(f"{HEADER}a: [{'b, ' * 10_000}]\n---\n", "invalid-yaml", id="10,000 values"),
        pytest.param(
            f"{HEADER}a: !!python/object/apply:os.abort []\n---\n", "invalid-yaml", id="tag that runs a function"
        ),
        pytest.param(f"{HEADER}a: !mine b\n---\n", "invalid-yaml", id="unknown tag"),
        pytest.param(f"{HEADER}a: !!set {{b, c}}\n---\n", "invalid-yaml", id="set"),
        pytest.param(f"{HEADER}a: 2024-13-01\n---\n", "invalid-yaml", id="a thirteenth month"),
        pytest.param(f"{HEADER}a: {'9' * 5_000}\n---\n", "invalid-yaml", id="number of 5,000 digits"),
    ],
)
def test_a_skill_that_cannot_be_loaded_is_told(source: str, code: str) -> None:
    frontmatter, found = parse(source)
    assert frontmatter is None
    assert found == [code]


@pytest.mark.parametrize("name", ["PDF", "p_d_f", "-pdf", "p--df", "pdf-", "p df", "p\u00e4df", "x" * 65, '"a\\nb"'])
def test_a_name_that_breaks_the_specification_is_loaded_and_told(name: str) -> None:
    frontmatter, found = parse(f"---\nname: {name}\ndescription: Does it.\n---\n")
    assert frontmatter is not None
    assert found == ["invalid-name", "name-mismatch"]


def test_a_missing_name_is_the_directorys() -> None:
    frontmatter, _ = parse("---\ndescription: Does it.\n---\n", "my-skill")
    assert frontmatter is not None
    assert frontmatter.name == "my-skill"


def test_a_name_that_is_a_number_is_text() -> None:
    frontmatter, found = parse("---\nname: 2048\ndescription: Plays it.\n---\n", "2048")
    assert frontmatter is not None
    assert (frontmatter.name, found) == ("2048", [])


def test_an_unquoted_colon_is_read_as_if_it_were_quoted() -> None:
    frontmatter, found = parse("---\nname: pdf\ndescription: Use it: it's good\n---\n")
    assert frontmatter is not None
    assert (frontmatter.description, found) == ("Use it: it's good", ["repaired-frontmatter"])


def test_the_body_begins_after_the_closing_fence() -> None:
    source = f"\ufeff{HEADER}---\nDo it.\n".replace("\n", "\r\n").encode()
    frontmatter, _ = parse(source)
    assert frontmatter is not None
    assert source[frontmatter.body_offset :] == b"Do it.\r\n"


def test_the_body_of_a_file_that_ends_with_the_closing_fence_is_empty() -> None:
    source = f"{HEADER}---"
    frontmatter, _ = parse(source)
    assert frontmatter is not None
    assert frontmatter.body_offset == len(source)


def test_a_finding_tells_the_line_of_the_file() -> None:
    assert message(f"{HEADER}a: [\n---\n").startswith("line 5: ")


def test_frontmatter_that_comes_too_late_is_told_apart_from_none() -> None:
    assert message(f"# PDF\n\n{HEADER}---\n") == "the frontmatter is not at the start of the file"
    assert message("# PDF\n") == "there is no frontmatter"


def test_a_name_with_a_newline_is_escaped_in_what_is_told() -> None:
    _, findings = parse_frontmatter(b'---\nname: "a\\nb"\ndescription: x\n---\n', "pdf")
    assert findings[0].message == "the name 'a\\nb' breaks the specification"


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("license: MIT", {"license": "MIT"}),
        ("allowed-tools: [Read, Write]", {"allowed-tools": ("Read", "Write")}),
        ("metadata: {a: {b: 1}}", {"metadata": {"a": {"b": 1}}}),
        ("a: 1\nb: 1.5\nc: true\nd: null", {"a": 1, "b": 1.5, "c": True, "d": None}),
        ("a: .inf\nb: .nan", {"a": "inf", "b": "nan"}),
        ("a: 2024-01-31", {"a": "2024-01-31"}),
        ("a: 2024-01-31T12:30:00Z", {"a": "2024-01-31T12:30:00+00:00"}),
        ("a: !!binary aGk=", {"a": "hi"}),
        ("1: a\ntrue: b", {"1": "a", "True": "b"}),
        ("base: &base {a: 1}\nmore: {<<: *base, b: 2}", {"base": {"a": 1}, "more": {"a": 1, "b": 2}}),
        ("a: 1\na: 2", {"a": 2}),
        ("a: &a [x]\nb: *a", {"a": ("x",), "b": ("x",)}),
        ("a: |\n  one\n  two", {"a": "one\ntwo\n"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unknown_fields_are_kept(yaml: str, expected: dict[str, object]) -> None:
    assert fields(yaml) == expected


def test_fields_cannot_be_changed() -> None:
    metadata = fields("metadata: {a: b}")["metadata"]
    assert isinstance(metadata, MappingProxyType)


# What headers are made of, in an order that no person would choose.
FRAGMENTS = st.sampled_from(
    [
        *("---", "---\r", "\n", "\r\n", " ", "  ", "\t", "\0", "\ufeff", "\u2028", "\x85", "ä", "\\x"),
        *(": ", ":", "- ", "? ", ", ", "[", "]", "{", "}", "'", '"', "|", ">", "# ", "%", "@", "`", "!"),
        *("name", "description", "a", "b: c: d", "&a ", "*a", "<<: *a", "<<", "="),
        *("~", "true", "1", "0x1f", "-.inf", "1e9", "1:30", "2024-01-31", "2024-13-01T00:00:00"),
    ]
)
HEADERS = st.lists(FRAGMENTS, max_size=40).map("".join)
SOURCES = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda header, body: b"---\n" + header + b"\n---\n" + body, st.binary(max_size=200), st.binary()),
    st.builds("---\n{}\n---\n{}".format, HEADERS, HEADERS).map(str.encode),
    st.builds("---\ndescription: x\n{}\n---\n".format, HEADERS).map(str.encode),
    st.builds("---\ndescription: x\na: {}\n---\n".format, HEADERS).map(str.encode),
)


@given(SOURCES, st.text(max_size=10))
def test_no_bytes_make_it_raise_and_json_holds_every_field(source: bytes, directory_name: str) -> None:
    frontmatter, findings = parse_frontmatter(source, directory_name)
    assert frontmatter is not None or findings
    assert all(finding.code in CODES for finding in findings)
    if frontmatter is not None:
        json.dumps(plain(frontmatter.fields), allow_nan=False)
        assert 0 < frontmatter.body_offset <= len(source)


HEADER = "---\nname: pdf\ndescription: Does it.\n"


@pytest.mark.parametrize(
    "value",
    [
        "!!bool foo",
        "!!timestamp foo",
        '!!int ""',
        '!!float ""',
        "!!seq foo",
        "!!seq {a: b}",
        "!!str {a: b}",
        "!!str [a]",
    ],
)
def test_a_tag_that_does_not_fit_its_value_is_refused(value: str) -> None:
    assert told(f"{HEADER}a: {value}\n---\n") == ["invalid-yaml"]


@pytest.mark.parametrize("value", [f"0x{'f' * 4_000}", f"{'1:' * 3_000}1"], ids=["hexadecimal", "base 60"])
def test_a_number_too_large_to_be_written_out_is_refused(value: str) -> None:
    assert told(f"{HEADER}a: {value}\n---\n") == ["invalid-yaml"]


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a:\n" + "- " * 100_000], ids=["flow", "block"])
def test_nesting_of_any_depth_does_not_end_the_process(text: str) -> None:
    """The loader composes nodes recursively in C, where a deep stack is a crash and no exception."""
    assert told(f"{HEADER}{text}\n---\n") == ["invalid-yaml"]


def test_merge_keys_unfold_within_the_budget() -> None:
    laughs = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 9))
    assert told(f"{HEADER}m0: &m0 {{a: b}}\n{laughs}<<: *m8\n---\n") == ["invalid-yaml"]


@pytest.mark.parametrize("unit", ["\n", " ", " \n"])
def test_blanks_alone_take_linear_time(unit: str) -> None:
    """Where it is quadratic, this takes minutes."""
    assert told(unit * (256_000 // len(unit))) == ["no-frontmatter"]


@pytest.mark.parametrize("name", ["on", "010", "1:30", "1_0", "0x1f", "2024-01-01"])
def test_a_name_is_taken_as_it_was_written(name: str) -> None:
    frontmatter, _ = parse_frontmatter(f"---\nname: {name}\ndescription: Does it.\n---\n".encode(), "pdf")
    assert frontmatter is not None
    assert frontmatter.name == name


def told(text: str) -> list[str]:
    return [finding.code for finding in parse_frontmatter(text.encode(), "pdf")[1]]


_ODD_WORDS = ["yes", "No", "TRUE", "null", "on", "it's", "a, [b] {c}", "x - y", "a: b", "a #b", "-", "<<", "? x"]
_WORDS = st.one_of(
    st.sampled_from(_ODD_WORDS),
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
)
_KEYS = st.one_of(
    st.sampled_from(["name", "on", "null", "<<", "a-b", "A_1"]), st.from_regex(r"[A-Za-z_][\w-]*", fullmatch=True)
)


@given(st.lists(st.tuples(_KEYS, _WORDS), min_size=1, max_size=5))
def test_what_is_split_without_yaml_is_what_yaml_reads(lines: list[tuple[str, str]]) -> None:
    """Whatever way the fields are read, they are those of a safe YAML load."""
    header = "".join(f"{key}: {value}\n" for key, value in lines) + "description: x\n"
    frontmatter, findings = parse_frontmatter(f"---\n{header}---\n".encode(), "pdf")
    if frontmatter is None or any(finding.code == "repaired-frontmatter" for finding in findings):
        return
    expected = {str(key): value for key, value in yaml.load(header, yaml.CSafeLoader).items()}
    assert plain(frontmatter.fields) == json.loads(json.dumps(expected, default=str))
