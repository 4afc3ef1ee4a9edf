"""Text that is safe to write: in a terminal, in JSON, in CSV.

File names hold whatever a file system allows: newlines, escape sequences that terminals obey,
marks that turn the direction of writing, bytes that are no UTF-8 (which Python keeps as lone
surrogates, U+DC80 … U+DCFF). Nothing of that may break a report or act on who reads it.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Characters that act instead of showing: controls, separators of lines, invisible and
# direction-changing marks, surrogates. The joiners of emoji (U+200D) and scripts are no such.
_BEYOND_ASCII = "\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_ACTING = re.compile(f"[\x00-\x1f{_BEYOND_ASCII}\ud800-\udfff]")
_ACTING_IN_JSON = re.compile(f"[{_BEYOND_ASCII}\ud800-\udfff]")
_STYLE = re.compile("\x1b\\[[0-9;]*m")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, keep: str = "") -> str:
    r"""Return text in which what would act on a terminal is written as an escape.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Characters to leave as they are.

    Returns
    -------
    str
        With ``\n``, ``\x1b``, ``\u202e``; a byte that is no UTF-8 as ``\xff``.
    """
    return _ACTING.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def to_json(value: Any, indent: int | None = None) -> str:
    r"""Return a value as JSON text that is valid UTF-8 once encoded.

    Characters stay readable, but what would act on a terminal becomes ``\uXXXX``, as JSON has
    it. So does a byte of a file name that is no UTF-8 (``\udcff`` for 0xFF): `json.loads` and
    `os.fsencode` give the very name back.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _ACTING_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def encode(text: str) -> bytes:
    r"""Return text as UTF-8; a byte of a file name that is no UTF-8 becomes ``\udcff``."""
    return text.encode("utf-8", "backslashreplace")


def unstyled(text: str) -> str:
    """Return text without the colours that `click.style` gave it."""
    return _STYLE.sub("", text)


def shortened(text: str, width: int) -> str:
    """Return text cut to a width, with an ellipsis where something is missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries the byte 0x80 … 0xFF
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
