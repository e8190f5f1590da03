"""Text from the disk made safe to print: control characters and undecodable bytes become visible escapes.

A skill's name may hold newlines or terminal sequences, a file's name bytes that are no UTF-8. Neither may reach a
terminal, a log or a prompt as it is.
"""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, the line and paragraph separators, the bidirectional overrides, and lone surrogates (bytes of
# file names that are not UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNPRINTABLE_BUT_LAYOUT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries an undecodable byte (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def printable(text: str) -> str:
    """`text` on one line, with every character that could disturb a terminal or a log written as an escape."""
    return _UNPRINTABLE.sub(_escape, text)


def printable_block(text: str) -> str:
    """Like `printable`, but newlines and tabs stay: for text that may have several lines."""
    return _UNPRINTABLE_BUT_LAYOUT.sub(_escape, text)
