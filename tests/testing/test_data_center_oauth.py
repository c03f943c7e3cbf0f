"""Data Center's OAuth 2.0: what it gives, and in which words it refuses."""

import pytest
from testing.conversation import CALLBACK, DataCenterConversation, basic, returned, told

from django_bitbucket_auth.testing import BitbucketSimulator, RegisteredClient

INVALID_CLIENT = {"error": "invalid_client", "error_description": "Client authentication failed"}


def test_the_answer_is_data_centers(data_center: DataCenterConversation) -> None:
    answer = data_center.exchange(data_center.code())
    data = told(answer)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert [len(data.pop(name)) for name in ("access_token", "refresh_token")] == [64, 64]
    assert data == {"expires_in": 3600, "scope": "PUBLIC_REPOS", "token_type": "bearer"}


def test_everything_lies_below_the_context_path(data_center: DataCenterConversation) -> None:
    simulator = data_center.simulator
    assert simulator.url == "http://127.0.0.1/bitbucket"
    assert '<form method="post" action="/bitbucket/rest/oauth2/latest/authorize">' in data_center.ask().text
    assert '<a href="/bitbucket/_simulator/">' in data_center.ask().text
    assert data_center.send("GET", "/rest/oauth2/latest/authorize").status == 404
    assert data_center.send("GET", "/_simulator/").status == 404
    assert data_center.send("GET", "/bitbucket/_simulator/").status == 200
    for path in ("/", "/bitbucket", "/bitbucket/"):
        assert data_center.send("GET", path).headers["Location"] == "/bitbucket/_simulator/"
    assert data_center.send("GET", "/bitbucket/site/oauth2/authorize").status == 404
    assert [logged.endpoint for logged in simulator.requests] == ["authorize", "authorize", "other", "other", "other"]


def test_without_a_context_path_it_lies_at_the_root() -> None:
    data_center = DataCenterConversation(BitbucketSimulator("data-center"))
    assert data_center.sign_in()["token_type"] == "bearer"
    assert data_center.simulator.url == "http://127.0.0.1"


@pytest.mark.parametrize("path", ["bitbucket", "/bitbucket/", "//bitbucket"])
def test_slashes_around_the_context_path_do_not_matter(path: str) -> None:
    assert BitbucketSimulator("data-center", context_path=path).context_path == "/bitbucket"


@pytest.mark.parametrize("path", ["/a?b", "/a/../b", "/a b", "/\N{LATIN SMALL LETTER E WITH ACUTE}", "/a%2Fb"])
def test_what_is_no_context_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no context path"):
        BitbucketSimulator("data-center", context_path=path)


def test_cloud_has_no_context_path() -> None:
    with pytest.raises(ValueError, match="Cloud has none"):
        BitbucketSimulator(context_path="/bitbucket")


def test_a_kind_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'server', but: cloud, cloud-oauth1, data-center, data-center-oauth1"):
        BitbucketSimulator("server")


def test_version_and_latest_are_the_same(data_center: DataCenterConversation) -> None:
    data_center.authorize_path = data_center.authorize_path.replace("latest", "1.0")
    data_center.token_path = data_center.token_path.replace("latest", "1.0")
    assert data_center.sign_in()["token_type"] == "bearer"
    assert data_center.send("GET", "/bitbucket/rest/oauth2/2.0/authorize").status == 404


def test_codes_live_ten_seconds(data_center: DataCenterConversation) -> None:
    early, late = data_center.code(), data_center.code()
    data_center.simulator.move_clock(9)
    assert data_center.exchange(early).status == 200
    data_center.simulator.move_clock(2)
    answer = data_center.exchange(late)
    assert (answer.status, told(answer)["error"]) == (400, "invalid_grant")


def test_a_code_is_good_once(data_center: DataCenterConversation) -> None:
    code = data_center.code()
    assert data_center.exchange(code).status == 200
    assert told(data_center.exchange(code))["error"] == "invalid_grant"


def test_access_tokens_live_an_hour(data_center: DataCenterConversation) -> None:
    token = data_center.sign_in()["access_token"]
    data_center.simulator.move_clock(3599)
    assert data_center.get("users", token).status == 200
    data_center.simulator.move_clock(2)
    assert data_center.get("users", token).status == 401


def test_pkce_is_enforced(data_center: DataCenterConversation) -> None:
    assert returned(data_center.ask(code_challenge=None, code_challenge_method=None))["error"] == "invalid_request"
    assert told(data_center.exchange(data_center.code(), code_verifier="w" * 43))["error"] == "invalid_grant"
    assert told(data_center.exchange(data_center.code(), code_verifier=None))["error"] == "invalid_request"


def test_a_plain_challenge_does(data_center: DataCenterConversation) -> None:
    code = data_center.code(code_challenge=data_center.verifier, code_challenge_method="plain")
    assert data_center.exchange(code).status == 200


def test_pkce_may_be_optional(data_center: DataCenterConversation) -> None:
    data_center.simulator.rules.pkce_required = False
    code = data_center.code(code_challenge=None, code_challenge_method=None)
    assert data_center.exchange(code, code_verifier=None).status == 200
    # But one that was given counts.
    assert data_center.exchange(data_center.code(), code_verifier="w" * 43).status == 400


def test_the_client_proves_itself_in_the_body_alone(data_center: DataCenterConversation) -> None:
    client = basic(data_center.simulator.client_id, data_center.simulator.client_secret)
    form = {"grant_type": "client_credentials", "client_id": None, "client_secret": None}
    answer = data_center.token(client, **form)
    assert (answer.status, told(answer)) == (401, INVALID_CLIENT)
    data_center.simulator.rules.basic_credentials = True
    assert data_center.token(client, **form).status == 200


@pytest.mark.parametrize("part", ["client_id", "client_secret"])
def test_wrong_credentials_are_refused(data_center: DataCenterConversation, part: str) -> None:
    for wrong in ("x", None):
        answer = data_center.exchange(data_center.code(), **{part: wrong})
        assert (answer.status, told(answer)) == (401, INVALID_CLIENT)


@pytest.mark.parametrize("redirect_uri", ["http://testserver/other/", f"{CALLBACK}?", None])
def test_the_redirect_uri_is_repeated_letter_by_letter(
    data_center: DataCenterConversation, redirect_uri: str | None
) -> None:
    token = data_center.sign_in()["refresh_token"]
    for answer in (
        data_center.exchange(data_center.code(), redirect_uri=redirect_uri),
        data_center.refresh(token, redirect_uri=redirect_uri),
    ):
        assert (answer.status, told(answer)["error"]) == (400, "invalid_grant")


def test_a_refresh_may_do_without_the_redirect_uri(data_center: DataCenterConversation) -> None:
    data_center.simulator.rules.refresh_needs_redirect_uri = False
    token = data_center.sign_in()["refresh_token"]
    assert data_center.refresh(token, redirect_uri=None).status == 200


def test_a_refresh_gives_a_new_pair_and_ends_the_old_one(data_center: DataCenterConversation) -> None:
    old = data_center.sign_in()
    new = told(data_center.refresh(old["refresh_token"]))
    assert set(new) == {"access_token", "refresh_token", "expires_in", "scope", "token_type"}
    assert data_center.get("users", new["access_token"]).status == 200
    assert data_center.get("users", old["access_token"]).status == 401
    answer = data_center.refresh(old["refresh_token"])
    assert (answer.status, told(answer)) == (
        400,
        {"error": "invalid_grant", "error_description": "Invalid refresh_token"},
    )


def test_a_refresh_may_leave_the_old_pair_alone(data_center: DataCenterConversation) -> None:
    rules = data_center.simulator.rules
    rules.rotate_refresh_tokens = rules.refresh_ends_access_tokens = False
    old = data_center.sign_in()
    new = told(data_center.refresh(old["refresh_token"]))
    assert new["refresh_token"] == old["refresh_token"]
    assert data_center.get("users", old["access_token"]).status == 200


def test_a_refresh_ends_no_other_logins_tokens(data_center: DataCenterConversation) -> None:
    other, mine = data_center.sign_in(), data_center.sign_in()
    data_center.refresh(mine["refresh_token"])
    assert data_center.get("users", other["access_token"]).status == 200


@pytest.mark.parametrize("scope", ["REPO_WRITE", "account", "PUBLIC_REPOS nonsense"])
def test_a_scope_that_is_unknown_or_beyond_the_client_is_refused(
    data_center: DataCenterConversation, scope: str
) -> None:
    assert returned(data_center.ask(scope=scope))["error"] == "invalid_scope"


def test_a_scope_opens_those_below_it(data_center: DataCenterConversation) -> None:
    data_center.simulator.client.scopes = ("REPO_ADMIN",)
    assert data_center.sign_in(scope="REPO_READ")["scope"] == "REPO_READ"


def test_without_a_scope_there_are_all_of_the_client(data_center: DataCenterConversation) -> None:
    assert data_center.sign_in(scope=None)["scope"] == "PUBLIC_REPOS ACCOUNT_WRITE REPO_READ"


def test_scopes_may_be_dropped(data_center: DataCenterConversation) -> None:
    data_center.simulator.rules.scope_parameter = "narrows"
    assert data_center.sign_in(scope="PUBLIC_REPOS REPO_WRITE")["scope"] == "PUBLIC_REPOS"


def test_scopes_that_were_given_stay() -> None:
    client = RegisteredClient(scopes=("PUBLIC_REPOS",))
    assert BitbucketSimulator("data-center", client=client).client.scopes == ("PUBLIC_REPOS",)


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:bitbucket:oauth2:jwt"])
def test_other_grants_are_refused(data_center: DataCenterConversation, grant: str) -> None:
    answer = data_center.token(grant_type=grant)
    assert (answer.status, told(answer)["error"]) == (400, "unsupported_grant_type")


def test_the_implicit_grant_is_refused(data_center: DataCenterConversation) -> None:
    assert returned(data_center.ask(response_type="token"))["error"] == "unsupported_response_type"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "grant_type"),
        ({"grant_type": "authorization_code"}, "code"),
        ({"grant_type": "refresh_token"}, "refresh_token"),
    ],
)
def test_a_missing_field_is_named(data_center: DataCenterConversation, form: dict[str, str], field: str) -> None:
    answer = data_center.token(**form)
    assert answer.status == 400
    assert told(answer) == {"error": "invalid_request", "error_description": f"Missing required field: {field}"}


def test_the_application_may_have_tokens_of_its_own(data_center: DataCenterConversation) -> None:
    data = told(data_center.token(grant_type="client_credentials", scope="PUBLIC_REPOS"))
    assert "refresh_token" not in data
    answer = data_center.get("application-properties", data["access_token"])
    assert answer.headers["X-AUSERNAME"] == "your_django_project-service"
    data_center.simulator.rules.client_credentials_taken = False
    answer = data_center.token(grant_type="client_credentials")
    assert told(answer)["error"] == "unsupported_grant_type"


def test_deny_leads_back_with_the_error(data_center: DataCenterConversation) -> None:
    assert returned(data_center.deny())["error"] == "access_denied"


def test_a_callback_that_is_not_registered_stays_on_its_page(data_center: DataCenterConversation) -> None:
    data_center.simulator.callback_url = CALLBACK
    assert data_center.ask().status == 200
    assert data_center.ask(redirect_uri=f"{CALLBACK}more").status == 400
    data_center.simulator.callback_url = ""
    answer = data_center.ask(redirect_uri=None)
    assert (answer.status, "Invalid request" in answer.text) == (400, True)


def test_who_is_deactivated_gets_no_token(data_center: DataCenterConversation) -> None:
    token = data_center.sign_in()["refresh_token"]
    code = data_center.code()
    data_center.simulator.deactivate("jane")
    for answer in (data_center.exchange(code), data_center.refresh(token)):
        assert (answer.status, told(answer)["error"]) == (400, "invalid_grant")


def test_a_link_for_oauth_1_is_no_client_here() -> None:
    data_center = DataCenterConversation(BitbucketSimulator("data-center-oauth1"))
    assert data_center.ask().status == 400
    assert told(data_center.token(grant_type="client_credentials")) == INVALID_CLIENT


def test_tokens_are_given_out_without_a_login(data_center: DataCenterConversation) -> None:
    data = data_center.simulator.issue(scopes=["REPO_READ"])
    assert (data["scope"], data["expires_in"], len(str(data["access_token"]))) == ("REPO_READ", 3600, 64)
    assert data_center.get("users", str(data["access_token"])).status == 200
    assert data_center.refresh(str(data["refresh_token"])).status == 200


def test_a_reset_keeps_kind_and_address(data_center: DataCenterConversation) -> None:
    simulator = data_center.simulator
    simulator.rules.pkce_required = False
    simulator.rename("jane", dc_name="other")
    simulator.reset()
    assert (simulator.kind, simulator.url) == ("data-center", "http://127.0.0.1/bitbucket")
    assert simulator.rules.pkce_required
    assert simulator.client.scopes == ("PUBLIC_REPOS", "ACCOUNT_WRITE", "REPO_READ")
    assert simulator.people["jane"].dc_name == "jane.doe@example.com"


def test_older_rules_are_clouds(data_center: DataCenterConversation) -> None:
    with pytest.raises(ValueError, match="Cloud's"):
        data_center.simulator.use_older_rules()
