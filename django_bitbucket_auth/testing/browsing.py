"""Signing in with Django's test client, as a person with a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from django.urls import reverse

from .messages import Answer, SimulatorRequest
from .people import Person
from .simulator import BitbucketSimulator, find_running
from .site import DENY_FIELD, PERSON_FIELD

if TYPE_CHECKING:
    from django.test import Client

#: What a browser sends along when somebody types the address, presses a button of the site, and
#: is sent back by Bitbucket.
TYPED = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
PRESSED = TYPED | {"sec-fetch-site": "same-origin"}
SENT_BACK = TYPED | {"sec-fetch-site": "cross-site"}

#: How often the login may lead to itself: by https, by another host.
MAX_DETOURS = 4


class LoginImpossible(AssertionError):
    """`log_in` never got as far as the callback; the message says where it ended, and how."""


def log_in(
    client: Client,
    person: Person | str | None = "jane",
    *,
    next: str | None = None,
    alias: str = "default",
) -> Any:
    """Sign ``person`` (a person of the simulator, or their key) in; ``None`` presses Deny.

    Returns the response of the callback, whatever it is: a redirect for a login, a page for a
    refusal. Raises `LoginImpossible` if there was no callback.
    """
    location = _to_bitbucket(client, next, alias)
    simulator = find_running(location)
    if simulator is None:
        raise LoginImpossible(
            f"The login leads to {_place(location)}, where no simulator of this process runs. Use "
            "simulated_bitbucket(), or the fixture bitbucket, and look at "
            f"BITBUCKET_AUTH[{alias!r}]."
        )
    try:
        key = None if person is None else simulator.person(person).key
    except LookupError as error:
        raise LoginImpossible(str(error)) from None
    answer = _press(simulator, location, key)
    back = answer.headers.get("Location")
    if back is None:
        raise LoginImpossible(f"Bitbucket kept the person on its own page: {_told(answer)}")
    parts = urlsplit(back)
    return client.get(
        f"{parts.path}?{parts.query}",
        headers=SENT_BACK | {"host": parts.netloc},
        secure=parts.scheme == "https",
    )


def _to_bitbucket(client: Client, target: str | None, alias: str) -> str:
    """The address the site's login leads to, perhaps by a detour over https or another host."""
    path = reverse("bitbucket_auth:login", args=[] if alias == "default" else [alias])
    wish = {} if target is None else {"next": target}
    url = f"{path}?{urlencode(wish)}" if wish else path
    host: dict[str, str] = {}
    secure = False
    for _ in range(MAX_DETOURS):
        response = client.get(url, headers=TYPED | host, secure=secure)
        if response.status_code == 200:
            # LOGIN_ON_GET is off: press the button. The answer forwards by a header: no redirect.
            token = client.cookies.get("csrftoken")
            form = wish | ({"csrfmiddlewaretoken": token.value} if token else {})
            page = {"referer": response.wsgi_request.build_absolute_uri()}
            response = client.post(path, form, headers=PRESSED | host | page, secure=secure)
        location = response.headers.get("Location") or _forwarded(response)
        if not location:
            raise LoginImpossible(
                f"{path} answered {response.status_code} instead of leading to Bitbucket: "
                f"{_words(response.content.decode(errors='replace'))}"
            )
        parts = urlsplit(urljoin(url, location))
        if parts.path != path or find_running(location):
            return location
        url = f"{parts.path}?{parts.query}"
        host = {"host": parts.netloc} if parts.netloc else host
        secure = parts.scheme == "https" if parts.netloc else secure
    raise LoginImpossible(f"{path} leads to itself, over and over.")


def _forwarded(response: Any) -> str:
    """Where a page's ``Refresh: 0;url=…`` leads."""
    return str(response.headers.get("Refresh", "")).partition("url=")[2]


def _press(simulator: BitbucketSimulator, location: str, person: str | None) -> Answer:
    """Open the consent page and press a button on it."""
    host = {"host": urlsplit(location).netloc}
    parts = urlsplit(location)
    answer = simulator.handle(SimulatorRequest("GET", parts.path, parts.query, host))
    if answer.status != 200:
        return answer
    form = _Form()
    form.feed(answer.text)
    button = (DENY_FIELD, "1") if person is None else (PERSON_FIELD, person)
    return simulator.handle(
        SimulatorRequest(
            "POST",
            form.action,
            headers=host | {"content-type": "application/x-www-form-urlencoded"},
            body=urlencode([*form.found, button]).encode(),
        )
    )


class _Form(HTMLParser):
    """A page's only form: where it leads, and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        if tag == "input" and given.get("type") == "hidden":
            self.found.append((given.get("name") or "", given.get("value") or ""))


class _Words(HTMLParser):
    """The visible text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unseen = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen = tag in ("style", "script", "title")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found += data.split()


def _words(page: str) -> str:
    words = _Words()
    words.feed(page)
    return " ".join(words.found)[:400]


def _told(answer: Answer) -> str:
    return f"{answer.status}, {_words(answer.text)}"


def _place(url: str) -> str:
    """The address without its query, which holds the state."""
    return url.partition("?")[0]
