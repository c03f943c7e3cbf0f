"""What a report of an error shows of a session's frames: not the header with the token (security rule 39)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bitbucket.sessions import Tokens, session_at
from bitbucket.test_session_signatures import Signing
from oauth.loopback import Loopback, reply

from django_bitbucket_auth.bitbucket import BitbucketSession, CloudOAuth1Provider, CloudProvider


class OwnFaultError(Exception):
    """The project's."""


class Failing:
    """A body of two bytes that breaks off after the first."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"
        raise OwnFaultError


FAULTS: dict[str, Callable[[BitbucketSession], object]] = {
    "a body that fails": lambda session: session.post("x", data=Failing()),
    "a header that can't be sent": lambda session: session.get("x", headers={"X": "\u20ac"}),
    "a header with a line break": lambda session: session.get("x", headers={"X": "a\nb"}),
    "a method that is none": lambda session: session.request("GE T", "x"),
    "a time limit that is none": lambda session: session.get("x", timeout="x"),  # type: ignore[arg-type]
    "nobody there": lambda session: session.get("http://127.0.0.1:9/x"),
    "a proxy that is none": lambda session: session.get("x", proxies={"http": "nonsense://x"}),
}


@pytest.mark.parametrize("kind", [CloudProvider, CloudOAuth1Provider])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_report_of_an_error_doesnt_show_the_header(kind: Any, fault: str) -> None:
    signs = kind is CloudOAuth1Provider
    with Loopback(reply(body="{}")) as server:
        api_url = "http://127.0.0.1:9" if fault == "nobody there" else server.url
        session = session_at(api_url, Signing() if signs else Tokens(), kind=kind, signature_method="HMAC-SHA1")
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            FAULTS[fault](session)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(told.format())
    assert "canary" not in text and "oauth_signature=" not in text
    # What a developer needs is there: where it came from, and the frames of the project's own.
    assert "test_session_tracebacks" in text
    assert ("in __iter__" in text) is (fault == "a body that fails")
