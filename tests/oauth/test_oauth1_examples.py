"""The worked examples of RFC 5849.

They leave out ``oauth_version``, which is optional (3.1) and which oauthlib always sends: here it is taken out again.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from oauth.signing import protocol_parameters
from oauthlib.common import Request

from django_bitbucket_auth.oauth import signature
from django_bitbucket_auth.oauth.oauth1 import RequestToken, authorization_url, parse_request_token, parse_token

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: Section 1.2.
PRINTER: dict[str, Any] = {"client_key": "dpf43f3p2l4k3l03", "client_secret": "kd94hf93k423kf44"}


class AsInTheExamples(signature.Signer):
    """Leaves out ``oauth_version``, and notes the base string."""

    base = ""

    def get_oauth_params(self, request: Request) -> Any:
        params: Any = super().get_oauth_params
        return [pair for pair in params(request) if pair[0] != "oauth_version"]

    def get_oauth_signature(self, request: Request) -> str:
        self.base = self.base_string(request)
        return super().get_oauth_signature(request)


def signed(
    method: Any, url: str, headers: dict[str, str] | None = None, data: str | None = None, **client: Any
) -> tuple[str, dict[str, str]]:
    """Base string and protocol parameters."""
    request = requests.Request(method, url, headers=headers, data=data).prepare()
    request.url = signature.sent_url(url)
    signer = AsInTheExamples(signature.parameters(request), **client)
    _, sent, _ = signer.sign(signature.base_uri(request), method)
    return signer.base, protocol_parameters(sent["Authorization"])


def test_section_1_2_a_request_token() -> None:
    _, protocol = signed(
        "POST",
        "https://photos.example.net/initiate",
        **PRINTER,
        timestamp="137131200",
        nonce="wIjqoS",
        callback_uri="http://printer.example.com/ready",
    )
    assert protocol == {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131200",
        "oauth_nonce": "wIjqoS",
        "oauth_callback": "http://printer.example.com/ready",
        "oauth_signature": "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
    }


def test_section_1_2_the_answers_and_where_the_browser_goes() -> None:
    request_token = parse_request_token(
        "oauth_token=hh5s93j4hdidpola&oauth_token_secret=hdhd0244k9j7ao03&oauth_callback_confirmed=true"
    )
    assert request_token == RequestToken("hh5s93j4hdidpola", "hdhd0244k9j7ao03")
    assert (
        authorization_url("https://photos.example.net/authorize", request_token)
        == "https://photos.example.net/authorize?oauth_token=hh5s93j4hdidpola"
    )
    token = parse_token("oauth_token=nnch734d00sl2jdk&oauth_token_secret=pfkkdhi9sl3r4s00")
    assert (token.access_token, token.token_secret) == ("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")


def test_section_1_2_an_access_token() -> None:
    _, protocol = signed(
        "POST",
        "https://photos.example.net/token",
        **PRINTER,
        resource_owner_key="hh5s93j4hdidpola",
        resource_owner_secret="hdhd0244k9j7ao03",
        timestamp="137131201",
        nonce="walatlh",
        verifier="hfdp7dh39dks9884",
    )
    assert protocol == {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "hh5s93j4hdidpola",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131201",
        "oauth_nonce": "walatlh",
        "oauth_verifier": "hfdp7dh39dks9884",
        "oauth_signature": "gKgrFCywp7rO0OXSjdot/IHF7IU=",
    }


def test_section_1_2_a_photo() -> None:
    """The example doesn't show the scheme of this one: its signature is right for ``http``."""
    _, protocol = signed(
        "GET",
        "http://photos.example.net/photos?file=vacation.jpg&size=original",
        **PRINTER,
        resource_owner_key="nnch734d00sl2jdk",
        resource_owner_secret="pfkkdhi9sl3r4s00",
        timestamp="137131202",
        nonce="chapoH",
    )
    assert protocol["oauth_signature"] == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


def test_sections_3_1_and_3_4_1_1_a_form() -> None:
    """With the signature of erratum 2550, which is verified: the one that is printed isn't that of the base string."""
    base, protocol = signed(
        "POST",
        "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
        FORM,
        "c2&a3=2+q",
        client_key="9djdj82h48djs9d2",
        client_secret="j49sk3j29djd",
        resource_owner_key="kkk9d7dh3k39sjv7",
        resource_owner_secret="dh893hdasih9",
        timestamp="137131201",
        nonce="7d8f3e4a",
    )
    assert base == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q"
        "%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_"
        "key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m"
        "ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk"
        "9d7dh3k39sjv7"
    )
    assert protocol["oauth_signature"] == "r6/TJjbCOr97/+UU0NsvSne7s5g="


@pytest.mark.parametrize(
    ("url", "host", "expected"),
    [
        ("http://example.com/r%20v/X?id=123", "EXAMPLE.COM:80", "http://example.com/r%20v/X"),
        ("http://EXAMPLE.COM:80/r%20v/X?id=123", "", "http://example.com/r%20v/X"),
        ("https://www.example.net/?q=1", "www.example.net:8080", "https://www.example.net:8080/"),
        ("https://www.example.net:8080/?q=1", "", "https://www.example.net:8080/"),
    ],
)
def test_section_3_4_1_2_the_base_string_uri(url: str, host: str, expected: str) -> None:
    request = requests.Request("GET", url, headers={"Host": host} if host else {}).prepare()
    request.url = signature.sent_url(url)
    assert signature.base_uri(request) == expected


def test_section_3_4_1_3_1_the_parameters() -> None:
    url = "http://example.com/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    request = requests.Request("POST", url, headers=FORM, data="c2&a3=2+q").prepare()
    assert signature.parameters(request) == [
        ("b5", "=%3D"),
        ("a3", "a"),
        ("c@", ""),
        ("a2", "r b"),
        ("c2", ""),
        ("a3", "2 q"),
    ]


def test_section_2_1_a_callback_with_a_query() -> None:
    """Of the examples for ``PLAINTEXT``, which isn't offered, everything but the signature."""
    _, protocol = signed(
        "POST",
        "https://server.example.com/request_temp_credentials",
        client_key="jd83jd92dhsh93js",
        client_secret="ja893SD9",
        callback_uri="http://client.example.net/cb?x=1",
    )
    assert protocol["oauth_callback"] == "http://client.example.net/cb?x=1"
