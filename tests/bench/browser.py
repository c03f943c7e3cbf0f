"""A browser that calls the site as a server would: no test client, whose own work would be counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import requests
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from .measuring import must

_site = WSGIHandler()
#: What a browser says of a typed address, and of the way back from Bitbucket.
_TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class Browser:
    """Signs in at one of the site's ways to do so, step by step. ``cost`` is the CPU of the latest step, in seconds."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._cookies: dict[str, str] = {}
        self.cost = 0.0

    def start(self) -> str:
        """Start a login. Returns the address at Bitbucket."""
        return self._get("login/")

    def consent(self, address: str) -> str:
        """The person says yes. Returns the query that Bitbucket sends the browser back with."""
        parts = urlsplit(address)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        page = parts._replace(query="").geturl()
        answer = requests.post(page, {**asked, "person": "jane"}, allow_redirects=False, timeout=10)
        must("consent", answer.status_code, 302)
        return urlsplit(answer.headers["Location"]).query

    def come_back(self, query: str) -> None:
        """The callback, after which the person is signed in."""
        self._get("callback/", query)
        must("signed in", bool(self._cookies.get("sessionid")), True)

    def _get(self, path: str, query: str = "") -> str:
        """A step, which has to end in a redirect; where to."""
        jar = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {**_TYPED, "Cookie": jar} if jar else _TYPED
        environ = RequestFactory().get(self._root + path, query_params={}, headers=headers, QUERY_STRING=query).environ
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], error: object = None) -> Callable[[bytes], object]:
            told.append((status, headers))
            return bytes

        start = time.process_time()
        response = _site(environ, begin)
        list(response)
        response.close()
        self.cost = time.process_time() - start
        ((status, answered),) = told
        must(f"status of {path}", status, "302 Found")
        for name, value in answered:
            if name == "Set-Cookie":
                self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(value).items()}
        return next(value for name, value in answered if name == "Location")
