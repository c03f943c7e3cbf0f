"""Which requests are signed, for whom, what is refused, and what nobody gets to see."""

from __future__ import annotations

import io
import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

import oauthlib.oauth1
import pytest
import requests
import requests_oauthlib
from oauth.signing import consumer, nobodys_key, protocol_parameters, verified

from django_bitbucket_auth.exceptions import BitbucketAuthError, ConfigurationError, ForeignURL, OAuthError
from django_bitbucket_auth.oauth import oauth1, signature
from django_bitbucket_auth.oauth.oauth1 import Consumer, RequestToken, Signed, VerifiedRequestToken, check_signs
from django_bitbucket_auth.oauth.token import Token

API = "https://bitbucket.example/context"
TOKEN = Token("the-token", "the-token-secret")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def prepared(url: str = API + "/rest/api/latest/x", method: str = "GET", **arguments: Any) -> requests.PreparedRequest:
    return requests.Request(method, url, **arguments).prepare()


def raw(url: str, method: str = "GET") -> requests.PreparedRequest:
    """A request whose URL nobody has tidied, like one along a redirect."""
    request = prepared(method=method)
    request.url = url
    return request


def protocol(request: requests.PreparedRequest) -> dict[str, str]:
    return protocol_parameters(request.headers["Authorization"])


# -- for whom ----------------------------------------------------------------------------------------------------------


def test_a_signature_names_consumer_token_and_method_and_none_of_the_secrets() -> None:
    request = Signed(consumer(), TOKEN, API)(prepared())
    found = protocol(request)
    assert found.pop("oauth_nonce").isdigit()
    assert abs(int(found.pop("oauth_timestamp")) - time.time()) < 60
    assert len(found.pop("oauth_signature")) == 28
    assert found == {
        "oauth_version": "1.0",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_consumer_key": "the consumer",
        "oauth_token": "the-token",
    }
    assert "secret" not in request.headers["Authorization"]


def test_without_a_token_the_consumer_signs_for_itself() -> None:
    request = Signed(consumer(), None, API)(prepared())
    assert "oauth_token" not in protocol(request)
    assert verified("GET", str(request.url), request.headers, signer=consumer())


@pytest.mark.parametrize("key", ['Jenkins Schlüssel / 1+1=2, "ja"', "k\U0001f4a5", "%20", "a&b"])
def test_a_consumer_key_may_be_what_an_administrator_likes(key: str) -> None:
    request = Signed(Consumer(key, "s"), TOKEN, API)(prepared())
    assert request.headers["Authorization"].isascii()
    assert verified(
        "GET", str(request.url), request.headers, signer=Consumer(key, "s"), token_secret="the-token-secret"
    )


@pytest.mark.parametrize("secret", ["", "&", "ü€\U0001f4a5", "a b+%", "\x00\n"])
def test_a_token_secret_may_hold_any_character(secret: str) -> None:
    request = Signed(consumer(), Token("t", secret), API)(prepared())
    assert verified("GET", str(request.url), request.headers, signer=consumer(), token_secret=secret)


def test_signing_again_replaces_the_signature_by_a_fresh_one() -> None:
    """As for a redirect or a repeat: a nonce is good for once."""
    signed = Signed(consumer(), TOKEN, API)
    request = signed(prepared(API + "/x?a=[1]"))
    first, url = request.headers["Authorization"], request.url
    other = Signed(consumer(), Token("another-token", "its-secret"), API)(request)
    assert [name.lower() for name in request.headers].count("authorization") == 1
    assert request.headers["Authorization"] != first
    assert protocol(other)["oauth_token"] == "another-token"
    assert other.url == url
    assert verified("GET", str(url), other.headers, signer=consumer(), token_secret="its-secret")
    nonces = {protocol(signed(prepared()))["oauth_nonce"] for _ in range(50)}
    assert len(nonces) == 50


def test_a_credential_of_the_callers_is_replaced() -> None:
    request = Signed(consumer(), TOKEN, API)(prepared(headers={"AUTHORIZATION": b"Basic eDp5"}))
    assert [value for name, value in request.headers.items() if name.lower() == "authorization"] == [
        request.headers["Authorization"]
    ]
    assert request.headers["Authorization"].startswith("OAuth ")


def test_of_a_plain_request_only_the_authorization_changes() -> None:
    before = prepared(method="POST", data="a=1", headers={**FORM, "Host": "h.example", "X": "y"}, cookies={"c": "d"})
    after = Signed(consumer(), TOKEN, API)(before.copy())
    del after.headers["Authorization"]
    assert (after.headers, after.body, after.url, after.method) == (
        before.headers,
        before.body,
        before.url,
        before.method,
    )


# -- which addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://bitbucket.example/other/x",
        "https://bitbucket.example/contextual/x",
        "http://bitbucket.example/context/x",
        "https://bitbucket.example:8443/context/x",
        "https://attacker.example/context/x",
        "https://bitbucket.example@attacker.example/context/x",
        "https://bitbucket.example\\@attacker.example/context/x",
        "https://bitbucket.ex\tample/context/x",
        " https://bitbucket.example/context/x",
        "https://bitbucket.example/context/../admin",
        "https://bitbucket.example/context/a/../x",
        "https://bitbucket.example/context/%2e%2e/admin",
        "https://bitbucket.example/context/..;/admin",
        "https://[bitbucket.example/context/x",
        "https://bitbucket.example:port/context/x",
        "/context/x",
        "",
    ],
)
def test_no_other_address_is_signed_for(url: str) -> None:
    request = raw(url)
    with pytest.raises(ForeignURL) as caught:
        Signed(consumer(), TOKEN, API)(request)
    assert "Authorization" not in request.headers
    assert "/x" not in str(caught.value) and "/admin" not in str(caught.value)


def test_a_host_that_can_not_be_sent_to_is_not_signed_for() -> None:
    with pytest.raises(ForeignURL):
        Signed(consumer(), TOKEN, "https://bit bucket.example/")(raw("https://bit bucket.example/x"))


def test_no_url_at_all_is_not_signed_for() -> None:
    request = prepared()
    request.url = None
    with pytest.raises(ForeignURL):
        Signed(consumer(), TOKEN, API)(request)


#: URLs as somebody gives them, and what is signed of them: RFC 5849, 3.4.1.2.
BASE_URIS = {
    "https://bitbucket.example": "https://bitbucket.example/",
    "https://bitbucket.example?a=b": "https://bitbucket.example/",
    "HTTPS://BitBucket.Example:443/A?x#y": "https://bitbucket.example/A",
    "http://bitbucket.example:80/": "http://bitbucket.example/",
    "http://bitbucket.example:443/": "http://bitbucket.example:443/",
    "https://bitbucket.example:80/": "https://bitbucket.example:80/",
    "https://bitbucket.example:/": "https://bitbucket.example/",
    "http://bitbucket.example:8080/": "http://bitbucket.example:8080/",
    "https://bücher.example/ü": "https://xn--bcher-kva.example/%C3%BC",
    "http://127.0.0.1:7990/x": "http://127.0.0.1:7990/x",
    # Literally as in `Host`, and no shorter: that is what the server goes by.
    "http://[::1]/x": "http://[::1]/x",
    "http://[::1]:80/x": "http://[::1]/x",
    "https://[2001:DB8:0:0::1]:8443/x": "https://[2001:db8:0:0::1]:8443/x",
    "https://[::443]/x": "https://[::443]/x",
    "https://bitbucket.example/a;": "https://bitbucket.example/a;",
    "https://bitbucket.example/a;b/c;d=e": "https://bitbucket.example/a;b/c;d=e",
    "https://bitbucket.example/a b[1]|{2}": "https://bitbucket.example/a%20b%5B1%5D%7C%7B2%7D",
    "https://bitbucket.example/%7euser/%c3%a4/(x)": "https://bitbucket.example/%7Euser/%C3%A4/(x)",
    "https://bitbucket.example/100%": "https://bitbucket.example/100%25",
}


@pytest.mark.parametrize("url", BASE_URIS)
def test_the_base_string_uri_is_the_address_that_is_sent(url: str) -> None:
    assert signature.base_uri(raw(signature.sent_url(url))) == BASE_URIS[url]


@pytest.mark.parametrize("host", ["Bitbucket.Example:443", b"Bitbucket.Example:443"])
def test_a_host_header_counts_as_text_and_as_octets(host: Any) -> None:
    assert signature.base_uri(prepared(headers={"Host": host})) == "https://bitbucket.example/context/rest/api/latest/x"


def test_an_address_with_half_a_character_is_signed_as_it_is_sent() -> None:
    request = Signed(consumer(), TOKEN, API)(raw(API + "/x?a=\ud800"))
    assert request.url == API + "/x?a=%ED%A0%80"
    assert verified("GET", request.url, request.headers, signer=consumer(), token_secret="the-token-secret")


# -- what can't be signed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", oauth1.SIGNATURE_METHODS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"params": {"oauth_token": "another"}},
        {"params": {"a": "1", "oauth_": ""}},
        {"method": "POST", "data": {"oauth_token": "another"}},
        {"method": "POST", "data": "%6fauth_verifier=x", "headers": FORM},
        {"url": API + "/x?oauth_signature=x"},
    ],
)
def test_parameters_of_the_protocol_have_no_other_place(method: str, arguments: dict[str, Any]) -> None:
    """RSA-SHA1 proves nothing about the token: a second one, of a search field maybe, could be taken for ours."""
    request = prepared(**arguments)
    with pytest.raises(OAuthError) as caught:
        Signed(consumer(method), TOKEN, API)(request)
    assert caught.value.error == "invalid_request"
    assert "another" not in str(caught.value)
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("body", [io.BytesIO(b"a=1"), iter([b"a=1"]), bytearray(b"a=1")])
def test_a_form_that_is_a_stream_is_refused_unread(body: Any) -> None:
    request = prepared(method="POST", data=body, headers=FORM)
    with pytest.raises(OAuthError, match="stream"):
        Signed(consumer(), TOKEN, API)(request)
    assert b"".join(body if not isinstance(body, bytearray) else [body]) == b"a=1"


def test_a_form_with_half_a_character_is_no_error_of_ours() -> None:
    request = prepared(method="POST", data="a", headers=FORM)
    request.body = "a=\ud800"
    assert Signed(consumer(), TOKEN, API)(request).body == "a=\ud800"


def test_a_content_type_may_be_octets() -> None:
    request = prepared(method="POST", data="a=1", headers={"Content-Type": b"application/x-www-form-urlencoded"})
    assert signature.parameters(request) == [("a", "1")]


CANARY = "canary"
UNSENDABLE: dict[str, Callable[[], Signed]] = {
    "an empty token": lambda: Signed(consumer(), Token("", CANARY), API),
    "a token with a space": lambda: Signed(consumer(), Token(CANARY + " x", CANARY), API),
    "a token with a line break": lambda: Signed(consumer(), Token(CANARY + "\r\nX-Evil: 1", CANARY), API),
    "a token with an umlaut": lambda: Signed(consumer(), Token(CANARY + "ü", CANARY), API),
    "half a character in a token's secret": lambda: Signed(consumer(), Token("t", CANARY + "\ud800"), API),
    "no consumer key": lambda: Signed(Consumer("", CANARY), TOKEN, API),
    "octets in the consumer key": lambda: Signed(Consumer(CANARY + "\udce4", CANARY), TOKEN, API),
    "half a character in a verifier": lambda: Signed(consumer(), TOKEN, API, verifier=CANARY + "\ud800"),
}
UNFIT: dict[str, Callable[[], Consumer]] = {
    "PLAINTEXT": lambda: Consumer("key", CANARY, "PLAINTEXT"),
    "a method of oauthlib's that isn't offered": lambda: Consumer("key", CANARY, "HMAC-SHA256"),
    "no method": lambda: Consumer("key", CANARY, ""),
    "no secret": lambda: Consumer("key"),
    "octets in the secret": lambda: Consumer("key", CANARY + "\udce4"),
    "no key": lambda: Consumer("key", CANARY, "RSA-SHA1"),
    "half a key": lambda: Consumer("key", CANARY, "RSA-SHA1", nobodys_key()[:500]),
    "another's words": lambda: Consumer("key", CANARY, "RSA-SHA1", CANARY),
}


def everything_shown(error: BaseException) -> str:
    """A report of an error, with the variables of each frame."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error)


@pytest.mark.parametrize("name", UNSENDABLE)
def test_what_can_not_stand_in_a_header_is_refused(name: str) -> None:
    request = prepared()
    with pytest.raises(OAuthError) as caught:
        UNSENDABLE[name]()(request)
    assert caught.value.error == "invalid_token"
    assert "Authorization" not in request.headers
    assert CANARY not in everything_shown(caught.value)


@pytest.mark.parametrize("name", UNFIT)
def test_a_consumer_that_can_not_sign_is_a_mistake_of_the_settings(name: str) -> None:
    request = prepared()
    with pytest.raises(ConfigurationError) as caught:
        Signed(UNFIT[name](), TOKEN, API)(request)
    assert "Authorization" not in request.headers
    shown = everything_shown(caught.value)
    assert CANARY not in shown
    assert nobodys_key().splitlines()[2] not in shown


@pytest.mark.parametrize("name", UNFIT)
def test_the_check_says_so_before(name: str) -> None:
    with pytest.raises(ValueError, match=r"sign|key") as caught:
        check_signs(UNFIT[name]())
    assert not isinstance(caught.value, BitbucketAuthError)
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_check_needs_a_consumer_key() -> None:
    with pytest.raises(ValueError, match="consumer key"):
        check_signs(Consumer("", "secret"))


@pytest.mark.parametrize("method", oauth1.SIGNATURE_METHODS)
def test_the_check_is_content_with_who_can_sign(method: str) -> None:
    check_signs(consumer(method))
    assert consumer(method).signature_method == method


def test_secrets_stay_out_of_reprs() -> None:
    things = [
        Consumer("key", CANARY, "RSA-SHA1", CANARY),
        RequestToken(CANARY, CANARY),
        VerifiedRequestToken(RequestToken(CANARY, CANARY), CANARY),
        Signed(Consumer("key", CANARY), Token(CANARY, CANARY), API, verifier=CANARY),
    ]
    assert CANARY not in f"{things!r}{things}"


# -- what is logged ----------------------------------------------------------------------------------------------------


def test_nothing_of_what_is_signed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    request_token = RequestToken("canary-request-token", "canary-request-secret")
    grant = VerifiedRequestToken(request_token, "canary-verifier")
    with caplog.at_level(logging.DEBUG):
        for name in list(logging.root.manager.loggerDict):
            caplog.set_level(logging.DEBUG, name)
        for method in oauth1.SIGNATURE_METHODS:
            signer = Consumer("canary-consumer", "canary-secret", method, nobodys_key())
            Signed(signer, Token("canary-token", "canary-token-secret"), API)(
                prepared(API + "/x?a=canary-query", "POST", data={"a": "canary-field"})
            )
            oauth1.request_token_request(API + "/r", signer, "https://site.example/?state=canary-state").prepare()
            oauth1.access_token_request(API + "/r", signer, grant).prepare()
            check_signs(signer)
        oauth1.authorization_url(API + "/a", request_token)
        oauth1.parse_token("oauth_token=canary&oauth_token_secret=canary")
    assert caplog.text == ""


def test_what_others_sign_is_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    """That is oauthlib's and requests-oauthlib's own affair: nothing of theirs is switched off or changed."""
    theirs = requests_oauthlib.OAuth1("their-key", "their-secret", "their-token")
    with caplog.at_level(logging.DEBUG):
        Signed(consumer(), TOKEN, API)(prepared())
        theirs(prepared())
    assert {record.name for record in caplog.records} >= {
        "oauthlib.oauth1.rfc5849",
        "requests_oauthlib.oauth1_auth",
    }
    assert "oauth_token%3Dtheir-token" in caplog.text
    assert "the-token" not in caplog.text
    methods = oauthlib.oauth1.Client.SIGNATURE_METHODS
    assert {"PLAINTEXT", "HMAC-SHA1", "RSA-SHA1"} <= methods.keys()
