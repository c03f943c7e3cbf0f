"""Which URLs may see a credential."""

from __future__ import annotations

import pytest
import requests
from oauth.values import NAMED, NAMES

from django_bitbucket_auth.oauth import urls

API = "https://api.bitbucket.org"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.bitbucket.org/2.0/user", ("https", "api.bitbucket.org", 443)),
        ("HTTPS://API.Bitbucket.ORG", ("https", "api.bitbucket.org", 443)),
        ("https://api.bitbucket.org:443/", ("https", "api.bitbucket.org", 443)),
        ("https://api.bitbucket.org:/", ("https", "api.bitbucket.org", 443)),
        ("http://127.0.0.1:8000/x", ("http", "127.0.0.1", 8000)),
        ("http://localhost", ("http", "localhost", 80)),
        ("http://[::1]:8000", ("http", "::1", 8000)),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443)),
    ],
)
def test_the_origin_is_scheme_host_and_port_in_one_form(url: str, origin: tuple[str, str, int]) -> None:
    assert urls.origin(url) == origin


NO_URLS = [
    "",
    "bitbucket.org",
    "//bitbucket.org",
    "/2.0/user",
    "https:bitbucket.org",
    "https://",
    "https:///2.0",
    "ftp://bitbucket.org",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://bitbucket.org:0/",
    "https://bitbucket.org:65536/",
    "https://bitbucket.org:x/",
    "https://bitbucket.org:-1/",
    "http://[",
    "http://[::1",
    "//[::1",
    "https://[::1]x/",
    "http://[::1].attacker.example/",
    "http://attacker.example[::1]/",
    "https://a\uff0eb\uff0fc/",
    f"https://{'ä' * 70}.example/",
    "https://ä..example/",
    "https://ä\x00.example/",
    "https://\ud800.example/",
]


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_absolute_http_url_is_a_value_error_and_nothing_else(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        urls.origin(url)


@pytest.mark.parametrize("url", ["https://faß.de/", "https://bücher.example/", "https://例え.example/"])
def test_the_host_is_the_one_that_requests_connects_to(url: str) -> None:
    prepared = requests.Request("GET", url).prepare().url
    assert prepared is not None
    assert urls.origin(url) == urls.origin(prepared)


def test_a_sharp_s_is_not_two_s() -> None:
    """IDNA of 2003 takes one for the other; they are two hosts, of two owners."""
    assert urls.origin("https://faß.de") != urls.origin("https://fass.de")


# -- loopback ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:8000/x",
        "http://127.0.0.1",
        "http://127.8.9.10:80/",
        "http://127.255.255.254",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]:8000",
    ],
)
def test_loopback_is_this_machine(url: str) -> None:
    assert urls.is_loopback(url)
    assert urls.problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:80@attacker.example/",
        "http://localhost@attacker.example/",
        "http://127.0.0.1@attacker.example",
        "http://attacker.example@localhost/",
        "http://user:password@127.0.0.1/",
        "http://@localhost/",
        "http://localhost.attacker.example/",
        "http://attackerlocalhost/",
        "http://attacker.localhost/",
        "http://127.0.0.1.attacker.example/",
        "http://attacker.example/127.0.0.1",
        "http://attacker.example?localhost",
        "http://attacker.example#@localhost",
        "http://localhost.",
        "http://128.0.0.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://192.168.0.1/",
        "http://[::]/",
        "http://[::2]/",
        "http://[fe80::1]/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://bitbucket.example.com/",
    ],
)
def test_plain_http_is_for_loopback_only_and_userinfo_does_not_fool_it(url: str) -> None:
    assert not urls.is_loopback(url)
    assert urls.problem(url) in ("isn't https", "holds a user name or password", _NOT_PLAIN)


_NOT_PLAIN = "has a query, a fragment, or a path that isn't plain"
_UNSENDABLE = "has characters that can't be sent"
_NO_URL = "isn't an absolute URL like https://bitbucket.example.com"


# -- what can be an endpoint -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://bitbucket.org",
        "https://bitbucket.org/",
        "https://bitbucket.example.com:8443/context/path",
        "https://[2001:db8::1]:7990/bitbucket",
        "https://bücher.example",
        "https://host/a.b/..c/...",
    ],
)
def test_an_https_url_can_be_an_endpoint(url: str) -> None:
    assert urls.problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://bitbucket.example.com", "isn't https"),
        ("https://user@bitbucket.example.com", "holds a user name or password"),
        ("https://user:pass@bitbucket.example.com", "holds a user name or password"),
        ("https://@bitbucket.example.com", "holds a user name or password"),
        ("https://bitbucket.example.com?x=1", _NOT_PLAIN),
        ("https://bitbucket.example.com/#x", _NOT_PLAIN),
        ("https://bitbucket.example.com/a/../b", _NOT_PLAIN),
        ("https://bitbucket.example.com/..;/b", _NOT_PLAIN),
        ("https://bitbucket.example.com/..%3B/b", _NOT_PLAIN),
        ("https://bitbucket.example.com/%2e%2E/b", _NOT_PLAIN),
        ("https://bitbucket.example.com/a%2fb", _NOT_PLAIN),
        ("https://bitbucket.example.com/a\\b", _NOT_PLAIN),
        ("https://bitbucket.example.com/a b", _NOT_PLAIN),
        (" https://bitbucket.example.com", _NOT_PLAIN),
        ("https://bitbucket.example.com\n", _UNSENDABLE),
        ("https:\t//bitbucket.example.com", _UNSENDABLE),
        ("https://bitbucket.\texample.com", _UNSENDABLE),
    ],
)
def test_an_endpoint_is_https_and_plain(url: str, problem: str) -> None:
    assert urls.problem(url) == problem


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_url_is_told_by_an_example(url: str) -> None:
    assert urls.problem(url) == (_NO_URL if url.isprintable() else _UNSENDABLE)


@pytest.mark.parametrize("name", NAMES)
def test_problem_takes_any_value(name: str) -> None:
    expected = (_NO_URL, _UNSENDABLE) if isinstance(NAMED[name], str) else ("isn't a string",)
    assert urls.problem(NAMED[name]) in expected


# -- within ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://api.bitbucket.org/2.0/user", API),
        ("https://api.bitbucket.org/", API),
        ("https://api.bitbucket.org/2.0/user", API + "/"),
        ("https://API.bitbucket.org:443/2.0/user?page=2", API),
        ("https://api.bitbucket.org/2.0/user?x=../../..&y=%2e%2e%2f", API),
        ("https://api.bitbucket.org/2.0/users/%7B1%7D/a.b/..c", API),
        ("http://127.0.0.1:7990/bitbucket/rest/api/latest/users", "http://127.0.0.1:7990/bitbucket"),
        ("https://bücher.example/2.0/user", "https://xn--bcher-kva.example"),
    ],
)
def test_a_url_below_the_prefix_is_within(url: str, prefix: str) -> None:
    assert urls.within(url, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.bitbucket.org/2.0/user",
        "https://bitbucket.org/2.0/user",
        "https://api.bitbucket.org.attacker.example/2.0/user",
        "https://attacker.example/https://api.bitbucket.org/",
        "https://api.bitbucket.org:8443/2.0/user",
        "https://api.bitbucket.org:80/2.0/user",
        "https://user@api.bitbucket.org/2.0/user",
        "https://@api.bitbucket.org/2.0/user",
        "https://api.bitbucket.org@attacker.example/2.0/user",
        "https://api.bitbucket.org\\@attacker.example/2.0/user",
        "https://attacker.example\\.api.bitbucket.org/2.0/user",
        "https://attacker.example#.api.bitbucket.org/2.0/user",
        "https://api.bitbucket.org#/2.0/user",
        "https://api.bitbucket.org",
        "https://api.bitbucket.org./2.0/user",
        "https://api.bitbucket.org%2eattacker.example/2.0/",
        "/2.0/user",
        "//api.bitbucket.org/2.0/user",
        *NO_URLS,
    ],
)
def test_another_origin_is_not_within(url: str) -> None:
    assert not urls.within(url, API)


SLIPPERY = [
    "..",
    ".",
    "../x",
    "./x",
    "a/../../x",
    "a/..",
    "..;/x",
    "..%3b/x",
    "..%253B/x",
    "%u002e%u002e/x",
    "a/..;v=1/x",
    ".;/x",
    "%2e%2e/x",
    "%2E%2E/x",
    "%2e./x",
    ".%2e/x",
    "a%2fb",
    "a%2Fb",
    "a%5cb",
    "a%5Cb",
    "..%2f..%2fx",
    "%252e%252e/x",
    "%25252e./x",
    "a%252fb",
    "a%255cb",
    "a\\b",
    "..\\x",
    "a\x00b",
    "a b",
    "a\x7fb",
    ".\t./x",
    "\n../x",
]


@pytest.mark.parametrize("path", SLIPPERY)
@pytest.mark.parametrize("prefix", [API, "https://host.example/bitbucket"])
def test_a_path_that_a_server_may_resolve_to_elsewhere_is_not_within(path: str, prefix: str) -> None:
    assert not urls.within(f"{prefix}/{path}", prefix)


@pytest.mark.parametrize("path", ["", "/", "/bitbucket", "/bitbucketx/rest", "/other/bitbucket/", "/Bitbucket/rest"])
def test_another_path_is_not_within(path: str) -> None:
    assert not urls.within(f"https://host.example{path}", "https://host.example/bitbucket")


@pytest.mark.parametrize("prefix", NO_URLS)
def test_nothing_is_within_a_broken_prefix(prefix: str) -> None:
    assert not urls.within("https://api.bitbucket.org/2.0/user", prefix)
