"""The two values the simulator's core works with: a request in, an answer out. No sockets here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal
from urllib.parse import parse_qsl, unquote

#: Where an answer is cut off: nowhere, before its first byte, or in the middle of its body.
Cut = Literal["", "before", "middle"]

#: The simulator's own pages load nothing and may not be framed. There is deliberately no
#: ``form-action``: browsers hold the redirect that follows a POST to it, and consent has to lead
#: back to the site.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class SimulatorRequest:
    """One request as it came: ``path`` and ``query`` still percent-encoded, header names in lower
    case.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def segments(self) -> list[str]:
        """The path's parts, decoded one by one, so that an encoded slash separates nothing."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters, in order, with duplicates."""
        return parse_qsl(self.query, keep_blank_values=True)

    @property
    def from_elsewhere(self) -> bool:
        """Whether a browser says that another site's page sent this."""
        return self.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")

    @property
    def is_signed(self) -> bool:
        """Whether it claims to be signed by OAuth 1.0a: in its header, its address or its form (RFC 5849, 3.5)."""
        scheme = self.headers.get("authorization", "").partition(" ")[0]
        return scheme.lower() == "oauth" or any(name == "oauth_signature" for name, _ in self.parameters + self.form)

    @property
    def form(self) -> list[tuple[str, str]]:
        """The body's parameters, in order, with duplicates; none if the body is no form."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(slots=True)
class Answer:
    """One answer, and what shall go wrong while it travels.

    ``delay``: seconds before the first byte. ``drip``: seconds between two bytes of the body.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    cut: Cut = ""

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> object:
        return json.loads(self.body)


def json_answer(status: int, data: object, **headers: str) -> Answer:
    """``data`` as JSON. Keyword arguments become headers, underscores become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, kind | named, json.dumps(data).encode())


def html_answer(status: int, title: str, content: str, style: str = "") -> Answer:
    """A page. ``title`` is text, ``content`` is HTML that has been escaped already."""
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{content}\n</body>\n</html>\n"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": PAGE_POLICY,
        "Cache-Control": "no-store",
        # The address of the consent page holds the state: it's nobody else's business.
        "Referrer-Policy": "same-origin",
    }
    return Answer(status, headers, page.encode())


def nothing_here() -> Answer:
    """An address that isn't known, told to whoever looks with a browser."""
    return html_answer(404, "Not found", "<h1>There is nothing at this address.</h1>")


def redirect_answer(location: str, status: int = 302) -> Answer:
    return Answer(status, {"Location": location, "Cache-Control": "no-store"})


def oauth_error(status: int, error: str, description: str) -> Answer:
    """An error of the token endpoint, members in Bitbucket's order (bitbucket.md 1.8)."""
    return json_answer(status, {"error_description": description, "error": error})


def api_error(status: int, message: str, **more: object) -> Answer:
    """An error of the API (bitbucket.md 8). ``more`` joins ``message``: ``detail``, ``data``."""
    return json_answer(status, {"type": "error", "error": {"message": message, **more}})


def data_center_error(status: int, message: str, exception: str | None = None) -> Answer:
    """An error of Data Center's API. ``exception`` names Atlassian's class, below ``com.atlassian.bitbucket``."""
    name = f"com.atlassian.bitbucket.{exception}" if exception else None
    return json_answer(status, {"errors": [{"context": None, "message": message, "exceptionName": name}]})
