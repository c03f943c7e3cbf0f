"""Which URLs may see a credential. No I/O, and nothing imported that is slow: settings are checked with this."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

_PORTS = {"https": 443, "http": 80}
_BRACKETED = re.compile(r"\[[^\[\]]+\](:\d*)?", re.ASCII)
#: Whatever a server might decode or collapse into another path: dots (Tomcat, and so Data Center, takes ``..;`` for
#: ``..``), encoded dots and slashes (twice, behind a proxy that decodes once), backslashes, and ``%u002e``.
_SLIPPERY = re.compile(r"(^|/)\.{1,2}(/|;|%(25)*3b|$)|%(25)*(2e|2f|5c)|%u|\\|[\x00-\x20\x7f]", re.IGNORECASE)


def split(url: str) -> SplitResult:
    """Parse an absolute URL.

    Raises:
        ValueError: it isn't one (also for what ``urlsplit`` finds only on access: ports, brackets).
    """
    parts = urlsplit(url)
    # What stands beside brackets, some Pythons overlook: to them `[::1].attacker.example` is the host `::1`.
    brackets = "[" in parts.netloc or "]" in parts.netloc
    if brackets and not _BRACKETED.fullmatch(parts.netloc.rpartition("@")[2]):
        raise ValueError("not an address in brackets")
    if parts.scheme not in _PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("not an absolute http(s) URL")
    return parts


def host(url: str) -> str:
    """The host in lower case and IDNA.

    Of 2008, as requests resolves it: by Python's own codec (2003) ``faß.de`` would be ``fass.de``, another host.

    Raises:
        ValueError: it has none.
    """
    return _host(split(url))


def _host(parts: SplitResult) -> str:
    name = parts.hostname or ""
    if name.isascii():
        return name
    import idna

    return idna.encode(name, strict=True, std3_rules=True).decode()


def address(url: str) -> str:
    """Host, port unless it is the scheme's own, and path: what people call a place.

    Raises:
        ValueError: it isn't a URL.
    """
    parts = split(url)
    scheme, name, port = _origin(parts)
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}{'' if port == _PORTS[scheme] else f':{port}'}{parts.path.rstrip('/')}"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, comparable (RFC 6454, 4)."""
    return _origin(split(url))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, _host(parts), parts.port or _PORTS[parts.scheme]


def query(url: str) -> str:
    """The query of whatever somebody takes for a URL; empty where there is none to be found."""
    return url.partition("#")[0].partition("?")[2]


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this very machine, judged by the parsed host and never by the text.

    Userinfo is refused: ``http://localhost:80@attacker.example`` is on the attacker's host.
    """
    import ipaddress  # a third of what the settings' modules cost at start-up

    parts = split(url)
    if "@" in parts.netloc:
        return False
    name = host(url)
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def problem(url: object, *, allow_http: bool = False) -> str | None:
    """Why the URL can't be an endpoint, in words that follow its name; ``None`` if it can.

    Plain HTTP would send codes and secrets in the clear: it is for a loopback address only, unless ``allow_http``.
    """
    if not isinstance(url, str):
        return "isn't a string"
    if not url.isprintable():
        return "has characters that can't be sent"
    try:
        parts = split(url)
        origin(url)
    except ValueError:  # UnicodeError is one
        return "isn't an absolute URL like https://bitbucket.example.com"
    if "@" in parts.netloc:
        return "holds a user name or password"
    if parts.query or parts.fragment or _SLIPPERY.search(url):
        return "has a query, a fragment, or a path that isn't plain"
    if parts.scheme == "http" and not (allow_http or is_loopback(url)):
        return "isn't https"
    return None


def within(url: str, prefix: str) -> bool:
    """Whether ``url`` lies under ``prefix``: same scheme, host and port, and a path below its path.

    A credential for ``prefix`` may only go to such a URL; paths that a server could resolve to elsewhere don't count.
    """
    try:
        parts = split(url)
        place, path = _beginning(prefix)
        if "@" in parts.netloc or _origin(parts) != place or _SLIPPERY.search(parts.path):
            return False
        return parts.path.startswith(path)
    except ValueError:
        return False


@lru_cache(maxsize=16)  # of the few API_URLs, asked for with each request
def _beginning(prefix: str) -> tuple[tuple[str, str, int], str]:
    parts = split(prefix)
    return _origin(parts), parts.path.rstrip("/") + "/"
