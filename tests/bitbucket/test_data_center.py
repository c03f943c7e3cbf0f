"""Bitbucket Data Center says who somebody is by a header and a search (security rule 36), and counts ids from 1."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from bitbucket.answers import TOKEN, answer
from bitbucket.data_center_answers import (
    BASE,
    NAME,
    TOKEN_URL,
    USER,
    USERS_URL,
    WHO,
    WHO_URL,
    data_center,
    named,
    page,
    play,
)
from bitbucket.sessions import WAYS, sent, session_at, ways
from oauth.loopback import Exchange, Loopback, reply
from responses import RequestsMock

from django_bitbucket_auth.bitbucket import DataCenterProvider, Email, Profile
from django_bitbucket_auth.bitbucket.data_center import MAX_PAGES, user_names
from django_bitbucket_auth.exceptions import (
    BitbucketAuthError,
    BitbucketUnavailable,
    ClientRefused,
    ForeignURL,
    OAuthError,
    ProfileError,
    ReauthenticationRequired,
)
from django_bitbucket_auth.oauth.grants import AuthorizationCode, Password
from django_bitbucket_auth.oauth.token import Token

CALLBACK = "https://site.example/bitbucket/dc/callback/"


# -- the sign-in -------------------------------------------------------------------------------------------------------


def test_a_sign_in_begins_under_the_context_path_with_pkce() -> None:
    begun = data_center().begin(CALLBACK, "the-state", pkce=True)
    parts = urlsplit(begun.url)
    query = dict(parse_qsl(parts.query))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{BASE}/rest/oauth2/latest/authorize"
    assert (query["scope"], query["state"], query["redirect_uri"]) == ("PUBLIC_REPOS", "the-state", CALLBACK)
    assert query["code_challenge_method"] == "S256"
    assert begun.verifier and begun.verifier not in begun.url and begun.redirect_uri == CALLBACK


def test_the_clients_credentials_go_into_the_body(bitbucket: RequestsMock) -> None:
    """Which is how Atlassian documents it. A semicolon, a plus or Unicode in the secret arrives as it is."""
    bitbucket.post(TOKEN_URL, json={"access_token": "canary", "token_type": "bearer", "expires_in": 3600})
    secret = "canary+s;cret=&é"
    data_center(client_secret=secret).fetch_token(AuthorizationCode("the-code", CALLBACK, "the-verifier"))
    [call] = bitbucket.calls
    assert "Authorization" not in call.request.headers
    assert dict(parse_qsl(str(call.request.body))) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": CALLBACK,
        "code_verifier": "the-verifier",
        "client_id": "the-id",
        "client_secret": secret,
    }


def test_a_renewal_repeats_the_redirect_uri(bitbucket: RequestsMock) -> None:
    """Without it the answer is ``invalid_grant``, and people would be told to sign in again every hour."""
    bitbucket.post(TOKEN_URL, json={"access_token": "new", "refresh_token": "new-r", "expires_in": 3600})
    talk = data_center()
    assert talk.fetch_token(talk.refresh_grant(Token("old", refresh_token="old-r"), CALLBACK)).refresh_token == "new-r"
    sent = dict(parse_qsl(str(bitbucket.calls[0].request.body)))
    assert (sent["refresh_token"], sent["redirect_uri"], sent.get("scope")) == ("old-r", CALLBACK, None)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [(400, "invalid_grant", ReauthenticationRequired), (401, "invalid_client", ClientRefused), (400, "x", OAuthError)],
)
def test_a_refused_renewal_is_told_from_a_refused_client(
    bitbucket: RequestsMock, status: int, error: str, kind: type[OAuthError]
) -> None:
    bitbucket.post(TOKEN_URL, json={"error": error}, status=status)
    talk = data_center()
    with pytest.raises(OAuthError) as caught:
        talk.fetch_token(talk.refresh_grant(Token("old", refresh_token="old-r"), CALLBACK))
    assert type(caught.value) is kind


def test_a_grant_that_it_never_took_warns(bitbucket: RequestsMock) -> None:
    bitbucket.post(TOKEN_URL, json={"error": "unsupported_grant_type"}, status=400)
    with pytest.warns(UserWarning, match="never taken the password grant"), pytest.raises(ClientRefused) as caught:
        data_center().fetch_token(Password("jane", "canary"))
    assert caught.value.hint.startswith("Bitbucket Data Center has never taken the password grant")


# -- who somebody is ---------------------------------------------------------------------------------------------------


def test_the_person_is_looked_up_by_the_name_in_the_header(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(USER))
    assert data_center().fetch_profile(TOKEN) == Profile(
        provider="default",
        instance="git.example.com/bitbucket",
        uid="101",
        username=NAME,
        display_name="Jane Doe",
        given_name="Jane",
        family_name="Doe",
        emails=(Email("jane@example.com", True, False),),
        avatar_url=USER["avatarUrl"],
        profile_url=USER["links"]["self"][0]["href"],
    )
    who, people = bitbucket.calls
    assert who.request.headers["Authorization"] == people.request.headers["Authorization"] == "Bearer canary-token"
    assert parse_qs(urlsplit(str(people.request.url)).query) == {
        "filter": [NAME],
        "avatarSize": ["128"],
        "limit": ["500"],
    }


@pytest.mark.parametrize(
    "name", ["a b", "a+b", "a%2Bb", "ä ö/ü?#&=", "名前", "{x}", "..", "../admin", "a\\b", "x" * 200, "'\"<>"]
)
def test_a_name_is_decoded_once_and_sent_as_it_is(bitbucket: RequestsMock, name: str) -> None:
    play(bitbucket, page({**USER, "name": name}), name=name)
    assert data_center().fetch_profile(TOKEN).uid == "101"
    asked = urlsplit(str(bitbucket.calls[1].request.url))
    assert asked.path == "/bitbucket/rest/api/latest/users"
    assert parse_qs(asked.query)["filter"] == [name]


def test_whoever_is_named_like_the_slug_of_another_is_not_the_other(bitbucket: RequestsMock) -> None:
    """The trap: ``/users/{name}`` answers with the person whose *slug* that is."""
    mallory = {**USER, "name": USER["slug"], "slug": "mallory", "id": 666, "displayName": "Mallory"}
    play(bitbucket, page(USER, mallory), name=NAME)
    assert data_center().fetch_profile(TOKEN).uid == "101"
    bitbucket.reset()
    play(bitbucket, page(USER, mallory), name=USER["slug"])
    assert data_center().fetch_profile(TOKEN).uid == "666"


@pytest.mark.parametrize(
    "name", [NAME.upper(), NAME[:-1], f"{NAME}x", f" {NAME}", "jane.doe\uff20example.com", None, 7, [NAME]]
)
def test_only_the_very_name_counts(bitbucket: RequestsMock, name: object) -> None:
    play(bitbucket, page({**USER, "name": name}, {**USER, "id": 102, "name": f"{NAME}.au"}, "nobody", None))
    with pytest.raises(ProfileError, match=r"^0 people have the name") as caught:
        data_center().fetch_profile(TOKEN)
    assert (caught.value.field, caught.value.reason) == ("name", "no_stable_id")


def test_two_people_of_one_name_are_nobody(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(USER, {**USER, "id": 102}))
    with pytest.raises(ProfileError, match=r"^2 people"):
        data_center().fetch_profile(TOKEN)


def test_the_person_may_stand_on_a_later_page(bitbucket: RequestsMock) -> None:
    others = [{**USER, "name": f"{NAME}.{number}", "id": number} for number in range(1, 4)]
    play(
        bitbucket,
        page(*others[:2], isLastPage=False, nextPageStart=25),
        page(*others[2:], isLastPage=False, nextPageStart=50),
        page(USER),
    )
    assert data_center().fetch_profile(TOKEN).uid == "101"
    starts = [parse_qs(urlsplit(str(call.request.url)).query).get("start") for call in bitbucket.calls]
    assert starts == [None, None, ["25"], ["50"]]


def test_all_pages_are_read_lest_there_be_another_of_that_name(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(USER, isLastPage=False, nextPageStart=25), page({**USER, "id": 102}))
    with pytest.raises(ProfileError, match=r"^2 people"):
        data_center().fetch_profile(TOKEN)


def test_pages_without_end_are_not_read_without_end(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(USER, isLastPage=False, nextPageStart=25))
    with pytest.raises(ProfileError, match="too many people"):
        data_center().fetch_profile(TOKEN)
    assert len(bitbucket.calls) == 1 + MAX_PAGES


@pytest.mark.parametrize("header", [None, ""])
def test_an_answer_to_a_stranger_is_a_refused_token(bitbucket: RequestsMock, header: str | None) -> None:
    """Anybody may ask for the version: status 200 proves nothing."""
    bitbucket.get(WHO_URL, json=WHO, headers={} if header is None else {"X-AUSERNAME": header})
    with pytest.raises(OAuthError, match="X-AUSERNAME") as caught:
        data_center().fetch_profile(TOKEN)
    assert (caught.value.reason, caught.value.status, len(bitbucket.calls)) == ("client_refused", 200, 1)


@pytest.mark.parametrize("header", ["%ff", "j%e9", "é", "%ed%a0%80"])
def test_a_name_that_is_no_utf_8_is_nobodys(bitbucket: RequestsMock, header: str) -> None:
    bitbucket.get(WHO_URL, json=WHO, headers={"X-AUSERNAME": header})
    with pytest.raises(OAuthError, match="percent-encoded UTF-8"):
        data_center().fetch_profile(TOKEN)


@pytest.mark.parametrize("header", [{}, named("mallory"), named(NAME.upper())])
def test_two_answers_about_two_people_are_none(bitbucket: RequestsMock, header: dict[str, str]) -> None:
    bitbucket.get(WHO_URL, json=WHO, headers=named())
    bitbucket.get(USERS_URL, json=page(USER), headers=header)
    with pytest.raises(OAuthError, match="two people"):
        data_center().fetch_profile(TOKEN)


@pytest.mark.parametrize(
    ("people", "uid"),
    [(["a b"], "1"), (["a+b"], "1"), (["a+b", "a b"], None), ([], None)],
    ids=["the space exists", "the plus exists", "both exist", "neither exists"],
)
def test_a_bare_plus_in_the_header_is_either_name_but_not_a_guess(
    bitbucket: RequestsMock, people: list[str], uid: str | None
) -> None:
    """By a form's rules it is a space, by a path's a plus. A guess would make "a b" sign in as "a+b"."""
    found = [{**USER, "name": name, "id": number} for number, name in enumerate(people, 1)]
    header = {"X-AUSERNAME": "a+b"}
    bitbucket.get(WHO_URL, json=WHO, headers=header)
    bitbucket.get(USERS_URL, json=page(*found), headers=header)
    if uid is None:
        with pytest.raises(ProfileError, match=f"^{len(people)} people"):
            data_center().fetch_profile(TOKEN)
    else:
        assert data_center().fetch_profile(TOKEN).uid == uid
    assert [parse_qs(urlsplit(str(call.request.url)).query)["filter"] for call in bitbucket.calls[1:]] == [
        ["a+b"],
        ["a b"],
    ]


def test_a_header_without_a_bare_plus_is_one_name() -> None:
    assert user_names(answer(headers={"X-AUSERNAME": "jane%2Bx%40example.com"})) == ("jane+x@example.com",)


@pytest.mark.parametrize(
    "body", ["", "[]", "<html>", "{}", '{"values": {}}', '{"values": null}', '{"isLastPage": true}']
)
def test_what_is_no_page_of_people_is_nonsense(bitbucket: RequestsMock, body: str) -> None:
    bitbucket.get(WHO_URL, json=WHO, headers=named())
    bitbucket.get(USERS_URL, body, headers=named())
    with pytest.raises(OAuthError) as caught:
        data_center().fetch_profile(TOKEN)
    assert caught.value.reason == "bad_answer"


@pytest.mark.parametrize(
    ("url", "status", "kind", "reason"),
    [
        (WHO_URL, 401, OAuthError, "client_refused"),
        (WHO_URL, 503, BitbucketUnavailable, "unavailable"),
        (USERS_URL, 401, OAuthError, "client_refused"),
        (USERS_URL, 403, OAuthError, "bad_answer"),
        (USERS_URL, 429, BitbucketUnavailable, "rate_limited"),
    ],
)
def test_a_failure_says_what_failed(
    bitbucket: RequestsMock, url: str, status: int, kind: type[BitbucketAuthError], reason: str
) -> None:
    said = {"errors": [{"context": None, "message": "You are not permitted", "exceptionName": "com.atlassian.X"}]}
    bitbucket.get(url, json=said, status=status)
    bitbucket.get(WHO_URL, json=WHO, headers=named())
    with pytest.raises(kind) as caught:
        data_center().fetch_profile(TOKEN)
    assert caught.value.reason == reason
    if isinstance(caught.value, OAuthError):
        assert caught.value.description == "You are not permitted"


@pytest.mark.parametrize("errors", [None, {}, [], [None], [[]], [{"message": 7}], [{}]])
def test_an_error_in_another_form_is_an_error_all_the_same(bitbucket: RequestsMock, errors: object) -> None:
    bitbucket.get(WHO_URL, json={"errors": errors}, status=400)
    with pytest.raises(OAuthError) as caught:
        data_center().fetch_profile(TOKEN)
    assert (caught.value.error, caught.value.description) == ("http_400", "")


def test_without_a_wish_for_addresses_there_is_none(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(USER))
    assert data_center(fetch_emails=False, trust_emails=True).fetch_profile(TOKEN).emails == ()


def test_the_users_endpoint_may_be_elsewhere_in_the_api(bitbucket: RequestsMock) -> None:
    elsewhere = f"{BASE}/rest/proxy/users"
    bitbucket.get(WHO_URL, json=WHO, headers=named())
    bitbucket.get(elsewhere, json=page(USER), headers=named())
    assert data_center(endpoints={"user": elsewhere}).fetch_profile(TOKEN).uid == "101"


def test_membership_in_workspaces_is_unknown_to_it(bitbucket: RequestsMock) -> None:
    """A workspace that is configured by mistake lets nobody in, and the check says so."""
    play(bitbucket, page(USER))
    _, memberships = data_center().fetch_identity(TOKEN, ("acme",))
    assert [membership.answer for membership in memberships] == ["unknown"]


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "following"),
    [
        (f"{BASE}/rest/api/latest/repos", f"{BASE}/rest/api/latest/repos?start=25"),
        (f"{BASE}/x?limit=5&start=20", f"{BASE}/x?limit=5&start=25"),
        (f"{BASE}/x?filter=a%20b&&limit=5", f"{BASE}/x?filter=a%20b&limit=5&start=25"),
    ],
)
def test_the_next_page_is_the_same_address_from_another_start(url: str, following: str) -> None:
    assert data_center().next_page({"isLastPage": False, "nextPageStart": 25}, url) == following


@pytest.mark.parametrize("body", [{}, {"isLastPage": True}, {"isLastPage": True, "nextPageStart": 25}])
def test_the_last_page_has_no_next(body: dict[str, Any]) -> None:
    assert data_center().next_page(body, USERS_URL) is None


@pytest.mark.parametrize("start", [None, "25", True, 2.5, "https://attacker.example/"])
def test_a_next_page_without_a_number_is_no_last_page(start: object) -> None:
    with pytest.raises(ForeignURL):
        data_center().next_page({"isLastPage": False, "nextPageStart": start}, USERS_URL)


# -- a session ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_as_to_a_stranger_is_asked_for_again_with_a_fresh_token(way: int) -> None:
    """An ended token is passed over where anybody may ask: the list would lack what is private, and nobody know."""

    def script(exchange: Exchange) -> bytes:
        known = exchange.request.headers["authorization"] == "Bearer canary-2"
        return reply(body=f'{{"known": {str(known).lower()}}}', headers=named("jane") if known else {})

    with Loopback(script) as server:
        session = session_at(f"{server.url}/git", kind=DataCenterProvider)
        assert ways(session)[way]("GET", "repos") == {"known": True}
        assert sent(server) == [("GET /git/rest/api/latest/repos", "1"), ("GET /git/rest/api/latest/repos", "2")]


def test_one_that_stays_a_strangers_is_given_as_it_is_and_not_asked_for_over_and_over() -> None:
    """The token of an application has no name, perhaps."""
    with Loopback(reply(body="{}")) as server:
        session = session_at(server.url, kind=DataCenterProvider)
        assert [session.json("repos"), session.get("repos").json(), session.json("repos")] == [{}] * 3
        assert [number for _, number in sent(server)] == ["1", "2", "2", "2"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_was_written_is_not_written_again(method: str) -> None:
    """A stranger can't have written anything, whatever header is lacking."""
    with Loopback(reply(body="{}")) as server:
        session = session_at(server.url, kind=DataCenterProvider)
        assert session.request(method, "repos").ok and session.json("repos", method=method) == {}
        assert [number for _, number in sent(server)] == ["1", "1"]


@pytest.mark.parametrize(("path", "status"), [("/projects/X/avatar.png", 200), ("repos", 404), ("repos", 302)])
def test_what_isnt_the_rest_api_or_no_success_says_nothing_of_the_token(path: str, status: int) -> None:
    with Loopback(reply(status, "{}")) as server:
        assert session_at(server.url, kind=DataCenterProvider).get(path).status_code == status
        assert [number for _, number in sent(server)] == ["1"]


# -- whose identities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("https://git.example.com", "git.example.com"),
        ("https://GIT.example.com:443/", "git.example.com"),
        ("https://git.example.com:8443/bitbucket/", "git.example.com:8443/bitbucket"),
        ("http://git.example.com:80/stash", "git.example.com/stash"),
        ("https://[2001:DB8::1]:7990", "[2001:db8::1]:7990"),
        ("https://bücher.example/git", "xn--bcher-kva.example/git"),
    ],
)
def test_an_instance_is_named_after_the_address_that_served_the_profile(url: str, instance: str) -> None:
    assert data_center(base_url="https://elsewhere.example", api_url=url).instance == instance


def test_a_name_of_ones_own_survives_a_change_of_address() -> None:
    assert data_center(instance="dc1", api_url="https://new.example.com").instance == "dc1"
