"""Data Center's API: who is it, users, repositories, and the session that every answer begins."""

import re
from typing import Any

import pytest
from testing.conversation import DataCenterConversation, exception, told

from django_bitbucket_auth.testing import (
    Answer,
    BitbucketSimulator,
    Person,
    default_people,
    people_with_confusing_names,
)

NOBODY = {
    "errors": [
        {
            "context": None,
            "message": "You are not permitted to access this resource",
            "exceptionName": "com.atlassian.bitbucket.AuthorisationException",
        }
    ]
}


@pytest.fixture
def jane(data_center: DataCenterConversation) -> str:
    """An access token of Jane's."""
    return str(data_center.simulator.issue("jane")["access_token"])


def names(answer: Answer) -> list[str]:
    return [entry["name"] for entry in told(answer)["values"]]


def test_the_header_names_the_caller(data_center: DataCenterConversation, jane: str) -> None:
    answer = data_center.get("application-properties", jane)
    assert (answer.status, answer.headers["X-AUSERNAME"]) == (200, "jane.doe%40example.com")
    assert set(told(answer)) == {"version", "buildNumber", "buildDate", "displayName"}
    (logged,) = data_center.simulator.requests_to("whoami")
    assert logged.person == "jane"


@pytest.mark.parametrize("token", [None, "made up"])
def test_anybody_may_ask_and_is_not_named(data_center: DataCenterConversation, token: str | None) -> None:
    answer = data_center.get("application-properties", token)
    assert answer.status == 200
    assert "X-AUSERNAME" not in answer.headers


def test_a_refused_token_may_be_a_401_everywhere(data_center: DataCenterConversation) -> None:
    data_center.simulator.rules.refused_token_is_anonymous = False
    assert data_center.get("application-properties", "made up").status == 401
    assert data_center.get("application-properties").status == 200


@pytest.mark.parametrize("header", ["bearer {}", "Basic {}", "Bearer {}x", "JWT {}"])
def test_only_the_exact_bearer_is_a_credential(data_center: DataCenterConversation, jane: str, header: str) -> None:
    answer = data_center.get("users", authorization=header.format(jane))
    assert (answer.status, exception(answer)) == (401, "IncorrectPasswordAuthenticationException")
    assert "X-AUSERNAME" not in answer.headers


@pytest.mark.parametrize(("plus", "header"), [(False, "a%20b%2F%C3%A9"), (True, "a+b%2F%C3%A9")])
def test_any_name_fits_in_the_header(data_center: DataCenterConversation, jane: str, plus: bool, header: str) -> None:
    data_center.simulator.rules.name_header_has_plus = plus
    data_center.simulator.rename("jane", dc_name="a b/\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert data_center.get("application-properties", jane).headers["X-AUSERNAME"] == header
    assert data_center.simulator.people["jane"].dc_slug == "a_b__"


def test_the_servlet_says_the_name_alone(data_center: DataCenterConversation, jane: str) -> None:
    path = "/bitbucket/plugins/servlet/applinks/whoami"
    answer = data_center.send("GET", path, authorization=f"Bearer {jane}")
    assert (answer.status, answer.text) == (200, "jane.doe@example.com")
    assert answer.headers["Content-Type"].startswith("text/plain")
    answer = data_center.send("GET", path)
    assert (answer.status, answer.body) == (200, b"")
    assert [logged.endpoint for logged in data_center.simulator.requests] == ["whoami", "whoami"]


def test_a_user_is_told_as_the_documentation_has_it(data_center: DataCenterConversation, jane: str) -> None:
    answer = data_center.get("users?filter=jane.doe@example.com", jane)
    assert answer.headers["X-AUSERNAME"] == "jane.doe%40example.com"
    assert told(answer) == {
        "size": 1,
        "limit": 25,
        "isLastPage": True,
        "values": [
            {
                "name": "jane.doe@example.com",
                "emailAddress": "jane@example.com",
                "active": True,
                "displayName": "Jane Doe",
                "id": data_center.simulator.people["jane"].dc_id,
                "slug": "jane.doe_example.com",
                "type": "NORMAL",
                "links": {"self": [{"href": "http://127.0.0.1/bitbucket/users/jane.doe_example.com"}]},
            }
        ],
        "start": 0,
        "nextPageStart": None,
    }


def test_a_picture_is_told_if_its_size_is_asked_for(data_center: DataCenterConversation, jane: str) -> None:
    (found,) = told(data_center.get("users?filter=jane&avatarSize=48", jane))["values"]
    assert found["avatarUrl"] == "http://127.0.0.1/bitbucket/_simulator/avatars/jane.svg?s=48"
    assert data_center.send("GET", "/bitbucket/_simulator/avatars/jane.svg").status == 200
    data_center.simulator.people["jane"].avatar_url = "https://pictures.example.com/jane"
    (found,) = told(data_center.get("users?filter=jane&avatarSize=48", jane))["values"]
    assert found["avatarUrl"] == "https://pictures.example.com/jane?s=48"


def test_members_of_the_users_json_can_be_changed_or_left_out(data_center: DataCenterConversation, jane: str) -> None:
    person = data_center.simulator.people["jane"]
    person.dc_profile |= {"id": None, "active": False, "links": ..., "emailAddress": ...}
    (found,) = told(data_center.get("users?filter=jane", jane))["values"]
    assert (found["id"], found["active"]) == (None, False)
    assert not {"links", "emailAddress"} & set(found)


def test_a_user_without_address_has_none(data_center: DataCenterConversation, jane: str) -> None:
    data_center.simulator.people["jane"].emails.clear()
    (found,) = told(data_center.get("users?filter=jane", jane))["values"]
    assert "emailAddress" not in found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DOE", ["jane.doe@example.com"]),
        ("olga%20out", ["outsider.outsider@example.com"]),
        ("max@", ["unconfirmed.newcomer@example.com"]),
        ("nobody", []),
        ("", ["jane.doe@example.com", "outsider.outsider@example.com", "unconfirmed.newcomer@example.com"]),
    ],
)
def test_the_filter_looks_into_names_and_addresses(
    data_center: DataCenterConversation, jane: str, text: str, found: list[str]
) -> None:
    assert names(data_center.get(f"users?filter={text}", jane)) == found


def test_users_come_in_pages(data_center: DataCenterConversation, jane: str) -> None:
    data_center.simulator.rules.users_per_page = 2
    first = data_center.get("users?filter=example&limit=1000", jane)
    data = told(first)
    assert (data["size"], data["limit"], data["isLastPage"], data["start"]) == (2, 2, False, 0)
    last = data_center.get(f"users?filter=example&start={data['nextPageStart']}", jane)
    assert told(last)["isLastPage"]
    assert told(last)["nextPageStart"] is None
    assert len({*names(first), *names(last)}) == 3
    assert names(data_center.get("users?limit=1&start=1", jane)) == names(first)[1:]


@pytest.mark.parametrize("query", ["start=-1", "limit=0", "limit=x", "start="])
def test_a_page_that_can_not_be_is_refused(data_center: DataCenterConversation, jane: str, query: str) -> None:
    assert data_center.get(f"users?{query}", jane).status == 400


def test_users_are_for_those_who_are_known(data_center: DataCenterConversation) -> None:
    answer = data_center.get("users?filter=jane")
    assert (answer.status, told(answer)) == (401, NOBODY)


def test_a_user_is_there_by_slug(data_center: DataCenterConversation, jane: str) -> None:
    assert told(data_center.get("users/jane.doe_example.com", jane))["displayName"] == "Jane Doe"
    answer = data_center.get("users/jane.doe@example.com", jane)
    assert answer.status == 404
    assert told(answer)["errors"] == [
        {
            "context": None,
            "message": "User jane.doe@example.com does not exist.",
            "exceptionName": "com.atlassian.bitbucket.user.NoSuchUserException",
        }
    ]


def test_somebodys_name_is_somebody_elses_slug() -> None:
    people = people_with_confusing_names()
    data_center = DataCenterConversation(BitbucketSimulator("data-center", people=people))
    ann, lookalike = people
    token = str(data_center.simulator.issue("lookalike")["access_token"])
    assert lookalike.dc_name == ann.dc_slug
    assert told(data_center.get(f"users/{lookalike.dc_name}", token))["id"] == ann.dc_id
    for person in people:
        found = names(data_center.get(f"users?filter={person.dc_name}", token))
        assert found == [ann.dc_name, lookalike.dc_name]


def test_ids_are_positive_stable_and_distinct() -> None:
    people = [*default_people().values(), *people_with_confusing_names()]
    ids = {person.dc_id for person in people}
    assert len(ids) == len(people)
    assert min(ids) > 0
    assert Person("jane").dc_id == default_people()["jane"].dc_id
    assert Person("jane", dc_id=7, dc_name="j", dc_slug="k").dc_id == 7


def test_what_is_not_there_and_what_is_not_taken(data_center: DataCenterConversation, jane: str) -> None:
    answer = data_center.get("nonsense", jane)
    assert (answer.status, told(answer)["errors"][0]["exceptionName"]) == (404, None)
    assert data_center.send("POST", "/bitbucket/rest/api/latest/users", authorization=f"Bearer {jane}").status == 405
    assert data_center.send("GET", "/bitbucket/rest/api/3.0/users").status == 404
    path = "/bitbucket/rest/api/1.0/users"
    assert data_center.send("GET", path, authorization=f"Bearer {jane}").status == 200


def test_who_is_deactivated_is_refused(data_center: DataCenterConversation, jane: str) -> None:
    cookie = session(data_center.get("users", jane))
    data_center.simulator.deactivate("jane")
    assert data_center.get("users", jane).status == 401
    assert data_center.get("users", cookie=cookie).status == 401
    assert "X-AUSERNAME" not in data_center.get("application-properties", jane).headers


def test_a_revoked_token_is_refused(data_center: DataCenterConversation, jane: str) -> None:
    data_center.simulator.revoke("jane")
    assert data_center.get("users", jane).status == 401


def session(answer: Answer) -> str:
    """What a browser would send back."""
    found = re.fullmatch(r"(BITBUCKETSESSIONID=\w{32}); Path=/bitbucket; HttpOnly", answer.headers["Set-Cookie"])
    assert found
    return found[1]


def test_every_answer_begins_a_session_that_is_as_good_as_a_token(
    data_center: DataCenterConversation, jane: str
) -> None:
    mine = session(data_center.get("application-properties", jane))
    olga = str(data_center.simulator.issue("outsider")["access_token"])
    assert data_center.get("application-properties", olga).headers["X-AUSERNAME"].startswith("outsider")
    # A cookie that travels with somebody else's token makes them somebody else.
    answer = data_center.get("application-properties", olga, cookie=f"a=b; {mine}")
    assert answer.headers["X-AUSERNAME"] == "jane.doe%40example.com"
    assert "Set-Cookie" not in answer.headers
    assert data_center.simulator.requests[-1].person == "jane"
    assert data_center.get("projects/ACME/repos", cookie=mine).status == 200


def test_nobodys_session_is_nobodys(data_center: DataCenterConversation, jane: str) -> None:
    cookie = session(data_center.get("application-properties"))
    assert data_center.get("users", cookie=cookie).status == 401
    assert session(data_center.get("users", jane, cookie=cookie)) != cookie


@pytest.mark.parametrize("cookie", ["", "BITBUCKETSESSIONID", "=;=", "BITBUCKETSESSIONID=made-up", "a\x00=b"])
def test_a_cookie_that_is_none_is_nobodys(data_center: DataCenterConversation, cookie: str) -> None:
    assert data_center.get("users", cookie=cookie).status == 401


def test_sessions_can_be_switched_off(data_center: DataCenterConversation, jane: str) -> None:
    data_center.simulator.rules.session_cookies = False
    assert "Set-Cookie" not in data_center.get("users", jane).headers


def test_a_reset_ends_sessions(data_center: DataCenterConversation, jane: str) -> None:
    cookie = session(data_center.get("users", jane))
    data_center.simulator.reset()
    assert data_center.get("users", cookie=cookie).status == 401


def test_faults_are_told_in_data_centers_words(data_center: DataCenterConversation, jane: str) -> None:
    simulator = data_center.simulator
    simulator.fail("whoami", 429, retry_after=3, times=1)
    answer = data_center.get("application-properties", jane)
    assert (answer.status, answer.headers["Retry-After"], exception(answer)) == (429, "3", "None")
    simulator.fail("user", 503, times=1)
    assert data_center.get("users", jane).headers["Content-Type"].startswith("text/html")
    simulator.fail("/rest/api/latest/repos", 400, times=1)
    assert data_center.get("repos", jane).status == 400
    simulator.fail("repositories", 500)
    paths = ("repos", "projects", "projects/ACME/repos", "profile/recent/repos")
    assert [data_center.get(path, jane).status for path in paths] == [500] * 4
    simulator.cut("token", times=1)
    assert data_center.exchange(data_center.code()).cut == "before"


def test_the_users_of_a_project_are_no_search(data_center: DataCenterConversation, jane: str) -> None:
    data_center.get("users/jane.doe_example.com", jane)
    data_center.get("users?filter=jane", jane)
    seen: list[tuple[Any, ...]] = [(e.endpoint, e.person, e.status) for e in data_center.simulator.requests]
    assert seen == [("other", "jane", 200), ("user", "jane", 200)]
