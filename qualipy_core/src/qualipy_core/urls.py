"""URLs as far as QualiPy looks at them: what may be shown of one, and what lies below which.

Deliberately strict: whoever compares two spellings of one place more cleverly than the program
that opens it will be wrong one day. A URL that can be read in more than one way is no `URL`.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#\\\s]*)(?P<rest>[^\x00-\x1f\x7f\\]*)", re.I
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class URL(NamedTuple):
    """A URL, cut up for comparing."""

    scheme: str
    host: str  #: with the port, unless it is the scheme's own; of object stores, the bucket
    path: tuple[str, ...]  #: the segments, as written

    @classmethod
    def parse(cls, text: str) -> URL | None:
        """Cut a URL up; return ``None`` for what is none, or can be read in several ways.

        Those are chains of URLs (``zip://a.jpg::https://…``); ``.`` and ``..`` in the path,
        encoded as well; encoded slashes; backslashes and control characters; and, over HTTP, a
        user's name in front of the host.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None or is_chain(text):
            return None
        scheme, host, rest = match["scheme"].lower(), match["host"], match["rest"]
        if scheme in _DEFAULT_PORTS:
            if not host or "@" in host:
                return None
            host = host.lower() if host.isascii() else host
            host = host.removesuffix(_DEFAULT_PORTS[scheme])
            rest = re.split(r"[?#]", rest, maxsplit=1)[0]  # elsewhere these are parts of names
        if _can_be_read_otherwise(rest):
            return None
        return cls(scheme, host, tuple(rest.removesuffix("/").split("/")[1:]))

    def is_below(self, root: URL) -> bool:
        """Whether this is another URL, or begins with all its segments."""
        return self[:2] == root[:2] and self.path[: len(root.path)] == root.path


def address(text: str) -> tuple[str, str]:
    """Return a URL's scheme and host; two empty texts for what is none."""
    match = _ADDRESS.fullmatch(text)
    return (match["scheme"].lower(), match["host"]) if match else ("", "")


def is_chain(text: str) -> bool:
    """Whether a URL leads through others, joined by ``::``; IPv6 addresses hold these too."""
    return "::" in re.sub(r"://\[[0-9a-f:.]*\]", "://", text, count=1, flags=re.I)


def has_credentials(text: str) -> bool:
    """Whether a URL names a user and a password, or over HTTP either."""
    user, at, _ = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0].rpartition("@")
    return bool(at) and (":" in user or text.lower().startswith("http"))


def shown(source: str) -> str:
    """Return what an error may say of a source: of a URL neither the user nor the query.

    Both may hold what opens the door: passwords, tokens, signatures.
    """
    if "://" not in source:
        return source
    source = re.sub(r"://[^/?#]*@", "://…@", source)
    return re.sub(r"[?#].*", "?…", source, flags=re.S)


def redacted(message: str) -> str:
    """Return a message in which every URL is as `shown` would show it."""
    message = re.sub(r"://[^/?#\s]*@", "://…@", message)
    return re.sub(r"(://[^?#\s'\"]*)[?#][^\s'\"]*", r"\1?…", message)


def _can_be_read_otherwise(path: str) -> bool:
    """Whether somebody on the way might take the path for another one."""
    plain = path
    while (decoded := unquote(plain)) != plain:  # a proxy may decode it once more
        plain = decoded
    return (
        plain.count("/") != path.count("/")
        or re.search(r"[\x00-\x1f\x7f\\]", plain) is not None
        or any(part.partition(";")[0] in (".", "..") for part in plain.split("/"))
    )
