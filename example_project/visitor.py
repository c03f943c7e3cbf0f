"""A small browser: cookies, forms, redirects, and the headers that say how a page was reached."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

REDIRECTS = {301, 302, 303, 307, 308}
TIMEOUT = 10
LABELLED = {"style", "script", "title", "h1", "dt", "dd", "button", "a"}


@dataclass
class Form:
    """A form: where it goes, what it holds, and its buttons (name, value, label)."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects the text, heading, facts (dt, dd), links and forms of a page, and what is inline."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self.inline: list[str] = []
        self.heading = ""
        self.facts: dict[str, str] = {}
        self._term = ""
        self._open: list[str] = []
        self._href = self._label = ""
        self._button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in LABELLED:
            self._open.append(tag)
            self._label = ""
        if tag == "style" or (tag == "script" and "src" not in values):
            self.inline.append(f"<{tag}>")
        self.inline += [name for name in values if name == "style" or name.startswith("on")]
        name, value = values.get("name", ""), values.get("value", "")
        if tag == "a":
            self._href = values.get("href", "")
        elif tag == "form":
            self.forms.append(Form(values.get("method", "get").lower(), values.get("action", "")))
        elif tag == "button":
            self._button = (name, value)
        elif tag == "input" and self.forms:
            kind = values.get("type", "text")
            if kind == "submit":
                self.forms[-1].buttons.append((name, value, value))
            elif name and (kind not in ("radio", "checkbox") or "checked" in values):
                self.forms[-1].fields[name] = value

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.words.append(data)
            self._label += data

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
            label = " ".join(self._label.split())
            if tag == "a":
                self.links.append((label, self._href))
            elif tag == "h1":
                self.heading = self.heading or label
            elif tag == "dt":
                self._term = label
            elif tag == "dd":
                self.facts[self._term] = label
            elif tag == "button" and self._button and self.forms:
                self.forms[-1].buttons.append((*self._button, label))


@dataclass
class Page:
    """What stands in the window, and the way there: (method, URL, status) of each request."""

    url: str
    response: requests.Response
    trips: list[tuple[str, str, int]]

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.response.text)
        reader.close()
        self.text = " ".join(" ".join(reader.words).split())
        self.heading, self.facts, self.inline = reader.heading, reader.facts, reader.inline
        self.links, self.forms = reader.links, reader.forms

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


class Browser:
    """One window of one person, with cookies of its own."""

    def __init__(self) -> None:
        self.cookies = requests.cookies.RequestsCookieJar()
        self.page: Page | None = None

    def type(self, url: str) -> Page:
        """Open an address as if typed."""
        return self._go("GET", url, None)

    def click(self, label: str) -> Page:
        """Follow the first link that reads ``label``; LookupError if there is none."""
        page = self._current()
        for text, href in page.links:
            if text == label:
                return self._go("GET", urljoin(page.url, href), page.url)
        raise LookupError(f"{page.url} has no link “{label}”: {[text for text, _ in page.links]}")

    def press(self, label: str, *, last: bool = False) -> Page:
        """Press the first button, or the one in the last form, that reads ``label``, or has that name or value."""
        page = self._current()
        for form in page.forms[::-1] if last else page.forms:
            for name, value, text in form.buttons:
                if label not in (text, name, value):
                    continue
                data = form.fields | ({name: value} if name else {})
                return self._go(form.method.upper(), urljoin(page.url, form.action), page.url, data)
        raise LookupError(f"{page.url} has no button “{label}”: {[form.buttons for form in page.forms]}")

    def _current(self) -> Page:
        if self.page is None:
            raise LookupError("no page is open")
        return self.page

    def _go(self, method: str, url: str, start: str | None, data: dict[str, str] | None = None) -> Page:
        """Ask for ``url``, follow redirects and Refresh, show what comes."""
        trips: list[tuple[str, str, int]] = []
        way = [] if start is None else [start]
        for _ in range(10):
            way.append(url)
            response = self._send(method, url, data, way, typed=start is None)
            trips.append((method, url, response.status_code))
            location = response.headers.get("Location", "")
            refresh = re.fullmatch(r"\d+;\s*url=(.+)", response.headers.get("Refresh", ""))
            if response.status_code in REDIRECTS and location:
                if response.status_code not in (307, 308):
                    method, data = "GET", None
                url = urljoin(url, location)
            elif refresh:
                # The page itself moves on: the navigation starts anew, from that page.
                method, data, start, way = "GET", None, url, [url]
                url = urljoin(url, refresh[1])
            else:
                self.page = Page(url, response, trips)
                return self.page
        raise LookupError(f"too many redirects: {trips}")

    def _send(
        self, method: str, url: str, data: dict[str, str] | None, way: list[str], *, typed: bool
    ) -> requests.Response:
        headers = {
            "Accept": "text/html",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-User": "?1",
            "Sec-Fetch-Site": "none" if typed else relation(way),
        }
        if method == "POST":
            headers["Origin"] = origin(way[0])
        if not typed:
            same = relation(way) == "same-origin"
            headers["Referer"] = way[0].split("#")[0] if same else origin(way[0]) + "/"
        with requests.Session() as session:
            session.trust_env = False  # no proxy, no netrc: it's all on this computer
            session.cookies = self.cookies
            return session.request(
                method,
                url,
                params=data if method == "GET" else None,
                data=data if method == "POST" else None,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            )


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def relation(way: list[str]) -> str:
    """``Sec-Fetch-Site`` at the end of a way: the loosest relation of any of its steps counts."""
    if len({origin(url) for url in way}) == 1:
        return "same-origin"
    if len({urlsplit(url).hostname for url in way}) == 1:
        return "same-site"
    return "cross-site"
