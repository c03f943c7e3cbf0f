"""``paginate``: page by page, within bounds, and never elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from bitbucket.sessions import sent, session_at
from oauth.loopback import Exchange, Loopback, reply

from django_bitbucket_auth.bitbucket import CloudProvider, Provider
from django_bitbucket_auth.exceptions import BitbucketUnavailable, ConfigurationError, ForeignURL, OAuthError


def pages(number: int) -> Callable[[Exchange], bytes]:
    """As many pages of two values; each but the last says where the next is."""

    def script(exchange: Exchange) -> bytes:
        page = int(parse_qs(urlsplit(exchange.request.target).query).get("page", ["1"])[0])
        body: dict[str, Any] = {"values": [page * 10, page * 10 + 1]}
        if page < number:
            body["next"] = f"{exchange.server.url}/2.0/things?page={page + 1}&ctx=a%2Bb"
        return reply(body=json.dumps(body))

    return script


def answers(*bodies: Any) -> list[bytes]:
    return [reply(body=json.dumps(body)) for body in bodies]


# -- page by page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["things", "/2.0/things", "{root}/2.0/things"])
def test_all_values_of_all_pages_are_given_in_order(path: str) -> None:
    with Loopback(pages(3)) as server:
        values = list(session_at(server.url).paginate(path.replace("{root}", server.url)))
        assert values == [10, 11, 20, 21, 30, 31]
        assert sent(server) == [
            ("GET /2.0/things", "1"),
            ("GET /2.0/things?page=2&ctx=a%2Bb", "1"),
            ("GET /2.0/things?page=3&ctx=a%2Bb", "1"),
        ]
        assert server.connections == 1


def test_a_page_is_asked_for_when_it_is_needed() -> None:
    with Loopback(pages(5)) as server:
        values = session_at(server.url).paginate("things")
        assert len(server.requests) == 0
        for wanted, requests_so_far in ((1, 1), (1, 1), (1, 2), (1, 2), (1, 3)):
            assert len(list(islice(values, wanted))) == wanted
            assert len(server.requests) == requests_so_far
        values.close()  # type: ignore[attr-defined]
        assert len(server.requests) == 3


def test_parameters_are_for_the_first_page_and_the_next_link_has_its_own() -> None:
    with Loopback(pages(2)) as server:
        list(session_at(server.url).paginate("things", params={"pagelen": 50, "q": "a b"}))
        assert [request.target for request in server.requests] == [
            "/2.0/things?pagelen=50&q=a+b",
            "/2.0/things?page=2&ctx=a%2Bb",
        ]


def test_other_arguments_are_for_every_page() -> None:
    with Loopback(pages(2)) as server:
        list(session_at(server.url).paginate("things", headers={"X-Own": "1"}, timeout=5))
        assert [request.headers["x-own"] for request in server.requests] == ["1", "1"]


def test_an_empty_page_has_no_values_and_may_have_a_next() -> None:
    def script(exchange: Exchange) -> bytes:
        if exchange.request.target == "/2.0/things":
            return reply(body=json.dumps({"values": [], "next": f"{exchange.server.url}/2.0/more"}))
        return reply(body='{"values": [1]}')

    with Loopback(script) as server:
        assert list(session_at(server.url).paginate("things")) == [1]
    with Loopback(reply(body='{"values": []}')) as server:
        assert list(session_at(server.url).paginate("things")) == []


def test_a_token_that_expires_between_two_pages_is_renewed() -> None:
    def script(exchange: Exchange) -> bytes:
        if "page=2" in exchange.request.target and exchange.request.headers["authorization"] == "Bearer canary-1":
            return reply(401)
        return pages(3)(exchange)

    with Loopback(script) as server:
        assert len(list(session_at(server.url).paginate("things"))) == 6
        assert [token for _, token in sent(server)] == ["1", "1", "2", "2"]


def test_a_kind_may_find_the_next_page_otherwise() -> None:
    """As Data Center does: by a number, put into the address with the parameters it was asked with."""

    class Numbered(CloudProvider):
        def next_page(self, body: Mapping[str, Any], url: str) -> str | None:
            return None if body["isLastPage"] else f"{url.partition('&start')[0]}&start={body['nextPageStart']}"

    bodies = answers(
        {"values": [1], "isLastPage": False, "nextPageStart": 25},
        {"values": [2], "isLastPage": False, "nextPageStart": 50},
        {"values": [3], "isLastPage": True},
    )
    with Loopback(bodies) as server:
        session = session_at(server.url, kind=Numbered)
        assert list(session.paginate("things", params={"state": "OPEN"})) == [1, 2, 3]
        assert [request.target for request in server.requests] == [
            "/2.0/things?state=OPEN",
            "/2.0/things?state=OPEN&start=25",
            "/2.0/things?state=OPEN&start=50",
        ]


def test_a_kind_that_knows_no_pages_says_so_before_half_a_list_looks_whole() -> None:
    with Loopback(pages(2)) as server, pytest.raises(ConfigurationError, match="next_page"):
        list(session_at(server.url, kind=Provider).paginate("things"))


# -- within bounds -----------------------------------------------------------------------------------------------------


def test_more_pages_than_asked_for_are_an_error_and_not_half_a_list() -> None:
    with Loopback(pages(10)) as server:
        values = session_at(server.url).paginate("things", max_pages=3)
        assert list(islice(values, 6)) == [10, 11, 20, 21, 30, 31]
        with pytest.raises(OAuthError, match=r"too_many_pages.*more than 3 pages"):
            next(values)
        assert len(server.requests) == 3


def test_as_many_pages_as_asked_for_are_a_list() -> None:
    with Loopback(pages(3)) as server:
        assert len(list(session_at(server.url).paginate("things", max_pages=3))) == 6


@pytest.mark.parametrize("most", [0, -1])
def test_no_pages_are_no_request(most: int) -> None:
    with Loopback(pages(3)) as server:
        with pytest.raises(OAuthError, match="too_many_pages"):
            list(session_at(server.url).paginate("things", max_pages=most))
        assert server.connections == 0


@pytest.mark.parametrize("params", [None, {"pagelen": 2}])
def test_pages_that_lead_to_each_other_are_left(params: dict[str, Any] | None) -> None:
    def script(exchange: Exchange) -> bytes:
        target = "/2.0/things?page=2" if "page=2" not in exchange.request.target else "/2.0/things"
        if target == "/2.0/things" and params:
            target += "?pagelen=2"
        return reply(body=json.dumps({"values": [1], "next": exchange.server.url + target}))

    with Loopback(script) as server:
        values = session_at(server.url).paginate("things", params=params)
        assert list(islice(values, 2)) == [1, 1]
        with pytest.raises(OAuthError, match="endless_pages"):
            next(values)
        assert len(server.requests) == 2


def test_a_page_that_leads_to_itself_is_left() -> None:
    with Loopback(
        lambda exchange: reply(body=json.dumps({"values": [1], "next": f"{exchange.server.url}/2.0/things"}))
    ) as server:
        with pytest.raises(OAuthError, match="endless_pages"):
            list(session_at(server.url).paginate("things"))
        assert len(server.requests) == 1


# -- never elsewhere ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "following",
    [
        "http://{other}/2.0/things?page=2",
        "https://{here}/2.0/things?page=2",
        "http://{here}@{other}/2.0/things",
        "http://jane:canary@{here}/2.0/things",
        "//{other}/../2.0/things",
        "http://{here}/2.0/../elsewhere",
        "http://{here}/2.0/%2e%2e/elsewhere",
        "http://{here}/2.0/a%2fb",
        "http://[",
        7,
        True,
        ["http://{here}/2.0/things?page=2"],
        {"href": "http://{here}/2.0/things?page=2"},
    ],
)
def test_a_next_page_elsewhere_is_not_asked_for(following: Any) -> None:
    with Loopback(reply()) as other:

        def script(exchange: Exchange) -> bytes:
            body = json.dumps({"values": [1], "next": following})
            here = f"127.0.0.1:{exchange.server.port}"
            return reply(body=body.replace("{here}", here).replace("{other}", f"127.0.0.1:{other.port}"))

        with Loopback(script) as server:
            values = session_at(server.url).paginate("things")
            assert next(values) == 1
            with pytest.raises(ForeignURL) as caught:
                next(values)
            assert "canary" not in str(caught.value)
            assert (len(server.requests), other.connections) == (1, 0)


# -- no page -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        [1],
        "text",
        7,
        {},
        {"values": None},
        {"values": {}},
        {"values": {"a": 1}},
        {"values": "abc"},
        {"values": 7},
    ],
)
def test_what_is_no_page_is_an_error(body: Any) -> None:
    with Loopback(answers(body)) as server, pytest.raises(OAuthError, match="no_page"):
        list(session_at(server.url).paginate("things"))


def test_a_page_without_a_body_is_an_error() -> None:
    with Loopback(b"HTTP/1.1 204 No Content\r\n\r\n") as server, pytest.raises(OAuthError, match="no_page"):
        list(session_at(server.url).paginate("things"))


def test_values_may_be_anything() -> None:
    values: list[Any] = [None, 0, "", [], {}, {"a": 1}]
    with Loopback(answers({"values": values})) as server:
        assert list(session_at(server.url).paginate("things")) == values


def test_a_failure_amid_the_pages_is_raised_after_the_values_before_it() -> None:
    def script(exchange: Exchange) -> bytes:
        return reply(503) if "page=2" in exchange.request.target else pages(3)(exchange)

    with Loopback(script) as server:
        values = session_at(server.url).paginate("things")
        assert list(islice(values, 2)) == [10, 11]
        with pytest.raises(BitbucketUnavailable):
            next(values)


def test_each_page_is_repeated_by_itself() -> None:
    refused: list[str] = []

    def script(exchange: Exchange) -> bytes:
        if exchange.request.target not in refused:
            refused.append(exchange.request.target)
            return reply(503)
        return pages(2)(exchange)

    with Loopback(script) as server:
        assert len(list(session_at(server.url, retries=1).paginate("things"))) == 4
        assert len(server.requests) == 4


def test_each_page_has_a_cap_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_bitbucket_auth.bitbucket.session.MAX_PAGE", 150)
    with Loopback(pages(5)) as server:
        assert len(list(session_at(server.url).paginate("things"))) == 10
    with Loopback(answers({"values": ["x" * 150]})) as server, pytest.raises(OAuthError, match="body_too_large"):
        list(session_at(server.url).paginate("things"))


def test_an_address_elsewhere_is_refused_at_the_first_value() -> None:
    with Loopback(reply()) as server:
        values = session_at(server.url).paginate("http://evil.invalid/")
        with pytest.raises(ForeignURL):
            next(values)


def test_requests_own_errors_of_parameters_stay_its_own() -> None:
    with Loopback(reply()) as server, pytest.raises((TypeError, ValueError, requests.RequestException)):
        next(session_at(server.url).paginate("things", params=7))  # type: ignore[arg-type]
