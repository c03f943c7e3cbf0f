"""Which addresses a session asks, and that a token goes to no other (security rule 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from bitbucket.sessions import Tokens, sent, session_at
from oauth.loopback import Loopback, reply

from django_bitbucket_auth.bitbucket import BitbucketSession, Provider
from django_bitbucket_auth.exceptions import ForeignURL

CLOUD = "https://api.bitbucket.org"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(reply(body='{"answer": 1}')) as server:
        yield server


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("repositories/acme", f"{CLOUD}/2.0/repositories/acme"),
        ("/2.0/repositories/acme", f"{CLOUD}/2.0/repositories/acme"),
        ("/1.0/groups/acme", f"{CLOUD}/1.0/groups/acme"),
        ("user?fields=a,b&q=x/../y", f"{CLOUD}/2.0/user?fields=a,b&q=x/../y"),
        ("repositories/acme/tools/src/main/a:b", f"{CLOUD}/2.0/repositories/acme/tools/src/main/a:b"),
        ("workspaces/{uuid}", f"{CLOUD}/2.0/workspaces/{{uuid}}"),
        ("workspaces/%7Buuid%7D", f"{CLOUD}/2.0/workspaces/%7Buuid%7D"),
        ("", f"{CLOUD}/2.0/"),
        ("/", f"{CLOUD}/"),
        (f"{CLOUD}/2.0/user", f"{CLOUD}/2.0/user"),
        ("HTTPS://API.bitbucket.org:443/2.0/user", "HTTPS://API.bitbucket.org:443/2.0/user"),
        # A host that stands in a path is a path.
        ("//evil.example/2.0/user", f"{CLOUD}//evil.example/2.0/user"),
        ("/@evil.example/", f"{CLOUD}/@evil.example/"),
    ],
)
def test_a_path_starts_at_the_api_or_under_its_version(path: str, url: str) -> None:
    for root in (CLOUD, f"{CLOUD}/"):
        assert session_at(root).url_for(path) == url


def test_a_path_stays_below_the_path_of_the_api() -> None:
    session = session_at("https://bitbucket.example/context/")
    assert session.url_for("user") == "https://bitbucket.example/context/2.0/user"
    assert session.url_for("/rest/x") == "https://bitbucket.example/context/rest/x"
    for url in ("https://bitbucket.example/2.0/user", "https://bitbucket.example/contextual/user"):
        with pytest.raises(ForeignURL):
            session.url_for(url)


def test_each_kind_has_a_version_of_its_own() -> None:
    class DataCenterLike(Provider):
        api_path = "/rest/api/latest/"

    session = session_at("https://bitbucket.example", kind=DataCenterLike)
    assert session.url_for("projects") == "https://bitbucket.example/rest/api/latest/projects"
    assert session_at("https://bitbucket.example", kind=Provider).url_for("x") == "https://bitbucket.example/x"


@pytest.mark.parametrize("path", ["user", "/2.0/user", "{root}/2.0/user"])
def test_what_is_asked_is_sent_with_the_token(server: Loopback, path: str) -> None:
    path = path.replace("{root}", server.url)
    session = session_at(server.url)
    assert session.get(path).json() == {"answer": 1}
    assert session.json(path) == {"answer": 1}
    assert sent(server) == [("GET /2.0/user", "1")] * 2


def test_parameters_are_a_query_as_everywhere_in_requests(server: Loopback) -> None:
    session = session_at(server.url)
    session.get("user", params={"q": 'name ~ "a/../b"', "next": "https://evil.example"})
    session.json("user", params={"fields": "a,b"})
    assert [request.target for request in server.requests] == [
        "/2.0/user?q=name+~+%22a%2F..%2Fb%22&next=https%3A%2F%2Fevil.example",
        "/2.0/user?fields=a%2Cb",
    ]


# -- and no others -----------------------------------------------------------------------------------------------------

FOREIGN = {
    "host": "http://evil.example/2.0/user",
    "scheme": "https://127.0.0.1:{port}/2.0/user",
    "other-scheme": "ftp://127.0.0.1:{port}/2.0/user",
    "port": "http://127.0.0.1:1/2.0/user",
    "no-port": "http://127.0.0.1/2.0/user",
    "name": "http://localhost:{port}/2.0/user",
    "userinfo": "http://jane@127.0.0.1:{port}/2.0/user",
    "password": "http://jane:canary@127.0.0.1:{port}/2.0/user",
    "host-as-userinfo": "http://127.0.0.1:{port}@evil.example/2.0/user",
    "suffix": "http://127.0.0.1:{port}.evil.example/2.0/user",
    "backslash-host": "http://127.0.0.1:{port}\\@evil.example/2.0/user",
    "root": "http://127.0.0.1:{port}",
    "fragment": "http://127.0.0.1:{port}#@evil.example/2.0/",
    "query": "http://127.0.0.1:{port}?@evil.example/2.0/",
    "no-slashes": "http:evil.example",
    "opaque": "https:/evil.example",
    "scheme-only": "javascript:alert(1)",
    "brackets": "http://[",
    "dots": "../user",
    "dots-inside": "repositories/../user",
    "dots-leading": "/2.0/../user",
    "dots-at-the-end": "/2.0/..",
    "dots-semicolon": "/2.0/..;/user",
    "dot": "/2.0/./user",
    "encoded-dots": "/2.0/%2e%2e/user",
    "half-encoded-dots": "/2.0/.%2E/user",
    "twice-encoded-dots": "/2.0/%252e%252e/user",
    "encoded-slash": "repositories/acme%2ftools",
    "encoded-slash-capital": "repositories/acme%2Ftools",
    "twice-encoded-slash": "repositories/acme%252Ftools",
    "encoded-backslash": "repositories/acme%5Ctools",
    "backslash": "repositories\\acme",
    "absolute-space": "http://127.0.0.1:{port}/2.0/acme tools",
    "nul": "repositories/acme\x00",
    "hidden-dots": "/2.0/.\t./user",
    "absolute-dots": "http://127.0.0.1:{port}/2.0/../user",
    "absolute-encoded-slash": "http://127.0.0.1:{port}/2.0/a%2fb",
}


def test_a_space_in_a_path_is_quoted_as_requests_does(server: Loopback) -> None:
    """Files have such names."""
    session_at(server.url, Tokens()).get("repositories/acme/site/src/main/Read me.txt")
    assert server.requests[-1].target == "/2.0/repositories/acme/site/src/main/Read%20me.txt"


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_is_sent_to_an_address_elsewhere_and_no_token_asked_for(server: Loopback, name: str) -> None:
    url = FOREIGN[name].replace("{port}", str(server.port))
    tokens = Tokens()
    session = session_at(server.url, tokens)
    for ask in (
        session.get,
        session.head,
        session.post,
        session.json,
        lambda url: next(session.paginate(url)),
        lambda url: session.prepare_request(requests.Request("GET", url)),
    ):
        with pytest.raises(ForeignURL) as caught:
            ask(url)
        assert "canary" not in str(caught.value)
    assert (server.connections, tokens.asked) == (0, 0)


def moved(session: BitbucketSession, url: str) -> requests.PreparedRequest:
    """A request that was changed after it got its token."""
    prepared = session.prepare_request(requests.Request("GET", "user"))
    prepared.url = url
    return prepared


@pytest.mark.parametrize("path", ["/other/user", "/api/../other", "/apix"])
def test_a_request_that_was_changed_after_it_got_the_token_is_not_sent(server: Loopback, path: str) -> None:
    session = session_at(f"{server.url}/api")
    with pytest.raises(ForeignURL):
        session.send(moved(session, server.url + path))
    with Loopback(reply()) as other, pytest.raises(ForeignURL):
        session.send(moved(session, f"{other.url}/api/2.0/user"))
    assert (server.connections, other.connections) == (0, 0)


def test_an_auth_of_the_callers_is_not_even_asked(server: Loopback) -> None:
    """It might move the request."""
    nothing = requests.auth.AuthBase()  # raises when it is called
    session = session_at(server.url)
    session.auth = nothing
    session.get("user", auth=nothing)
    session.json("user", auth=nothing)
    assert sent(server) == [("GET /2.0/user", "1")] * 2


# -- nothing but the token speaks --------------------------------------------------------------------------------------

HEADERS: list[dict[Any, Any]] = [
    {"Authorization": "Basic evil"},
    {"authorization": "Basic evil"},
    {b"AUTHORIZATION": b"Basic evil"},
    {"Authorization": None},
]


@pytest.mark.parametrize("headers", HEADERS, ids=range(4))
def test_no_authorization_of_the_callers_replaces_the_token(server: Loopback, headers: dict[Any, Any]) -> None:
    """Everybody would be whoever that is."""
    session = session_at(server.url)
    session.get("user", headers=headers)
    session.json("user", headers=headers)
    session.send(session.prepare_request(requests.Request("GET", "user", headers=headers)))
    session.headers.update(headers)
    session.get("user")
    session.json("user")
    assert sent(server) == [("GET /2.0/user", "1")] * 5


@pytest.mark.parametrize(
    "auth", [("jane", "evil"), requests.auth.HTTPDigestAuth("jane", "evil")], ids=["basic", "digest"]
)
def test_no_auth_of_the_callers_replaces_the_token(auth: Any) -> None:
    """Not even after a 401 that asks for it."""
    with Loopback(reply(401, headers={"WWW-Authenticate": 'Digest realm="x", nonce="y", qop="auth"'})) as server:
        session = session_at(server.url, Tokens(last=1))
        session.get("user", auth=auth)
        session.auth = auth
        session.get("user")
        assert sent(server) == [("GET /2.0/user", "1")] * 2


def test_the_scheme_is_always_bearer(server: Loopback) -> None:
    session_at(server.url).get("user")
    assert server.requests[0].headers["authorization"] == "Bearer canary-1"


def test_the_callers_request_is_left_as_it_was(server: Loopback) -> None:
    request = requests.Request("GET", "user", auth=("jane", "x"))
    session_at(server.url).prepare_request(request)
    assert (request.url, request.auth) == ("user", ("jane", "x"))
    assert request.hooks == {"response": []}


def test_a_request_that_another_made_has_no_token(server: Loopback) -> None:
    """As in requests: what a session adds, it adds when it prepares."""
    session_at(server.url).send(requests.Request("GET", f"{server.url}/2.0/user").prepare())
    assert "authorization" not in server.requests[0].headers
