"""Guards of single views (security rule 29)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, get_overloads

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.views import View
from django.views.generic import TemplateView
from steps import LOGIN, connect, reason_of

from django_bitbucket_auth import memberships
from django_bitbucket_auth.decorators import BitbucketLoginRequiredMixin, bitbucket_login_required
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Workspace, log_in, override_provider, simulated_bitbucket
from django_bitbucket_auth.testing.overriding import pointed_at

pytestmark = [pytest.mark.django_db, pytest.mark.urls("guarding")]

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def site(bitbucket: BitbucketSimulator) -> Iterator[None]:
    with override_provider("default", WORKSPACES=["*"]):
        yield


@pytest.fixture
def jane(client: Client) -> Client:
    assert log_in(client, "jane").status_code == 302
    return client


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move this site's clock; Bitbucket's and the database's go on as they did."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)


def reason(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


def page(request: HttpRequest) -> HttpResponse:
    """A view that has no address."""
    return HttpResponse("in")


def request_of(client: Client) -> HttpRequest:
    """A request of the client's session and person, for a view that has no address."""
    request = RequestFactory().get("/")
    request.session, request.user = client.session, User.objects.get(pk=client.session["_auth_user_id"])
    return request


# -- who is signed in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/plain/", "/members/", "/amembers/x/", "/class/", "/aclass/", "/admins/"])
def test_strangers_are_led_to_bitbucket_and_back(client: Client, path: str) -> None:
    response = client.get(f"{path}?page=2")
    assert response.status_code == 302
    assert response.headers["Location"] == f"{LOGIN}?next={path.replace('/', '%2F')}%3Fpage%3D2"
    assert "no-store" in response.headers["Cache-Control"]
    assert client.post(path).headers["Location"] == f"{LOGIN}?next={path.replace('/', '%2F')}"


def test_a_sign_in_ends_where_it_was_asked_for(client: Client) -> None:
    assert log_in(client, "jane", next="/plain/").headers["Location"] == "/plain/"
    assert client.get("/plain/").content == b"plain"


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        {"Accept": "application/json, text/html;q=0.5"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Accept": "application/json;version=1"},
        {"Accept": "application/json; version=1, text/html;level=1;q=0.9, */*;q=0.1"},
        {"Accept": "application/json, text/plain, */*"},
        {"Sec-Fetch-Mode": "cors", "Accept": "*/*"},
        {"Sec-Fetch-Mode": "no-cors", "Accept": "image/png"},
    ],
)
def test_clients_that_cant_follow_are_told_in_json(client: Client, headers: dict[str, str]) -> None:
    response = client.get("/members/", headers=headers)
    assert (response.status_code, response.json()) == (401, {"reason": "login_required"})
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "text/html"},
        {"Accept": "text/html;level=1, application/json;version=1;q=0.9"},
        {"Accept": "image/png"},
        {"Sec-Fetch-Mode": "navigate"},
    ],
)
def test_browsers_and_whoever_does_not_say_are_led_on(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/members/", headers=headers).status_code == 302


def test_who_came_in_by_password_without_an_account_there_signs_in_with_bitbucket(client: Client) -> None:
    user = User.objects.create_user("mary", password="secret")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    assert client.get("/plain/").status_code == 302
    assert reason(client.get("/plain/", headers=JSON)) == (401, "login_required")
    log_in(client, "jane", next="/plain/")
    assert client.get("/plain/").content == b"plain"


def test_an_account_there_is_enough_however_its_person_came_in(jane: Client) -> None:
    other = Client()
    other.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    for path in ("/plain/", "/members/"):
        assert other.get(path).status_code == 200


def test_a_guard_without_more_asks_neither_database_nor_bitbucket(
    jane: Client, bitbucket: BitbucketSimulator, django_assert_num_queries: Any
) -> None:
    before = len(bitbucket.requests)
    with django_assert_num_queries(2):  # session and user
        assert jane.get("/plain/").status_code == 200
    assert len(bitbucket.requests) == before


def test_an_account_of_another_provider_does_not_count(jane: Client) -> None:
    assert (jane.get("/second/").status_code, reason_of(jane.get("/second/"))) == (503, "misconfigured")
    with simulated_bitbucket("second") as other:
        other.join("outsider", "acme")
        response = jane.get("/second/")
        assert response.headers["Location"] == "/bitbucket/second/login/?next=%2Fsecond%2F"
        log_in(jane, "jane", alias="second")
        assert jane.get("/second/").content == b"second"


def test_an_account_that_is_another_users_by_now_does_not_count(jane: Client) -> None:
    BitbucketAccount.objects.update(user=User.objects.create_user("mary"))
    assert reason_of(jane.get("/members/")) == "membership_unknown"  # just signed in, and yet there is none


def test_two_aliases_of_one_bitbucket_dont_send_people_to_and_fro(jane: Client, bitbucket: BitbucketSimulator) -> None:
    with pointed_at(bitbucket, "second", WORKSPACES=["*"]):
        assert jane.get("/second/").status_code == 302
        log_in(jane, "jane", alias="second")
        view = bitbucket_login_required(workspaces=["acme"])(page)
        for _ in range(2):
            assert jane.get("/second/").content == b"second"
            assert jane.get("/plain/").content == b"plain"
            assert view(request_of(jane)).content == b"in"
        # Whom `default` has thrown out isn't let in by having come in at the other.
        BitbucketToken.objects.filter(provider="default").delete()
        assert jane.get("/plain/").status_code == 302
        assert jane.get("/second/").content == b"second"


def test_of_several_accounts_the_first_counts_that_was_signed_in_with_there(
    jane: Client, bitbucket: BitbucketSimulator
) -> None:
    with pointed_at(bitbucket, "second", WORKSPACES=["*"]):
        assert connect(jane, bitbucket, "outsider", "second").status_code == 302
        view = bitbucket_login_required(provider="second", workspaces=["acme"])(page)
        assert view(request_of(jane)).status_code == 403
        log_in(jane, "jane", alias="second")
        other = Client()
        other.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
        assert view(request_of(other)).content == b"in"


def test_a_person_without_an_account_row_is_not_sent_round_in_circles(jane: Client) -> None:
    """As after a sign-in by a profile in the 1.0 format."""
    BitbucketAccount.objects.all().delete()
    assert jane.get("/plain/").content == b"plain"
    response = jane.get("/members/")
    assert (response.status_code, reason_of(response)) == (503, "membership_unknown")


# -- workspaces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/members/", "/amembers/x/", "/class/", "/aclass/"])
def test_members_see_the_page_and_are_asked_about_once(jane: Client, bitbucket: BitbucketSimulator, path: str) -> None:
    for _ in range(3):
        assert jane.get(path).status_code == 200
    assert len(bitbucket.requests_to("permission")) == 1


@pytest.mark.parametrize("path", ["/members/", "/amembers/x/", "/class/", "/aclass/"])
def test_others_do_not(client: Client, path: str) -> None:
    log_in(client, "outsider")
    response = client.get(path)
    assert (response.status_code, reason_of(response)) == (403, "not_a_member")
    assert "no-store" in response.headers["Cache-Control"]
    told = client.get(path, headers=JSON)
    assert reason(told) == (403, "not_a_member")
    assert told.json()["trail"].startswith("BB-")


def test_an_async_view_is_guarded_in_its_event_loop(client: Client, jane: Client) -> None:
    aclient = AsyncClient()
    assert async_to_sync(aclient.get)("/amembers/x/").status_code == 302
    assert async_to_sync(aclient.get)("/aclass/").status_code == 302
    aclient.cookies = jane.cookies
    assert async_to_sync(aclient.get)("/amembers/x/").content == b"members x"
    assert async_to_sync(aclient.get)("/aclass/").content == b"async class"
    assert async_to_sync(aclient.get)("/members/").content == b"members"


def test_one_workspace_or_role_is_enough(jane: Client, bitbucket: BitbucketSimulator, monkeypatch: Any) -> None:
    assert reason_of(jane.get("/owners/")) == "not_a_member"
    bitbucket.join("jane", "acme", "owner")
    assert reason_of(jane.get("/owners/")) == "not_a_member"  # a no is remembered, too
    later(monkeypatch, 31)
    bitbucket.fail("/2.0/user/workspaces/globex/permission", 500)
    # The role that was remembered with the yes is a member's, and a yes lasts for longer.
    assert reason_of(jane.get("/owners/")) == "membership_unknown"
    later(monkeypatch, 60)
    assert jane.get("/owners/").content == b"owners"


def test_an_answer_is_remembered_for_max_age_and_no_longer(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jane.get("/members/").status_code == 200
    bitbucket.leave("jane", "acme")
    later(monkeypatch, 299)
    assert jane.get("/members/").status_code == 200
    later(monkeypatch, 2)
    assert jane.get("/members/").status_code == 403
    assert len(bitbucket.requests_to("permission")) == 2


def test_an_answer_from_the_future_is_not_believed(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jane.get("/members/").status_code == 200
    bitbucket.leave("jane", "acme")
    later(monkeypatch, -10)
    assert jane.get("/members/").status_code == 403


def test_an_answer_is_for_one_account_only(jane: Client, bitbucket: BitbucketSimulator) -> None:
    assert jane.get("/members/").status_code == 200
    instance = BitbucketAccount.objects.get().instance
    outsider = bitbucket.person("outsider").uuid
    BitbucketAccount.objects.create(user=User.objects.get(), provider="default", instance=instance, uid=outsider)
    log_in(jane, "outsider")  # the same user, and so the same session
    assert jane.get("/members/").status_code == 403


def test_an_answer_of_one_bitbucket_is_none_of_another(jane: Client) -> None:
    assert jane.get("/members/").status_code == 200
    with simulated_bitbucket("second", WORKSPACES=["*"]) as other:
        assert connect(jane, other, alias="second").status_code == 302
        first, second = BitbucketAccount.objects.order_by("pk")
        assert first.uid == second.uid and first.instance != second.instance
        other.leave("jane", "acme")
        view = bitbucket_login_required(provider="second", workspaces=["acme"])(page)
        assert view(request_of(jane)).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": {"workspace": "acme", "answer": "yes", "role": "", "user_uid": None, "cause": ""}},
        {"answer": "perhaps"},
        {"role": None},
        {"user_uid": 7},
        {"at": "just now"},
    ],
    ids=str,
)
def test_what_another_version_has_remembered_is_asked_again(
    jane: Client, bitbucket: BitbucketSimulator, changes: dict[str, Any]
) -> None:
    assert jane.get("/members/").status_code == 200
    session = jane.session
    session["_bitbucket_auth_answers"]["answers"]["acme"].update(changes)
    session.save()
    bitbucket.leave("jane", "acme")
    assert reason_of(jane.get("/members/")) == "not_a_member"


@pytest.mark.parametrize("kept", [None, [], {"account": "", "answers": {}}, "answers", "acme"])
def test_what_is_no_memory_at_all_is_asked_again(jane: Client, bitbucket: BitbucketSimulator, kept: Any) -> None:
    assert jane.get("/members/").status_code == 200
    session = jane.session
    whole = session["_bitbucket_auth_answers"]
    if kept in ("answers", "acme"):
        kept = {**whole, "answers": [] if kept == "answers" else {"acme": []}}
    session["_bitbucket_auth_answers"] = kept
    session.save()
    bitbucket.leave("jane", "acme")
    assert reason_of(jane.get("/members/")) == "not_a_member"


def test_what_is_remembered_is_what_is_asked_for_and_no_more(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.leave("jane", "acme")
    assert jane.get("/members/").status_code == 403
    (said,) = jane.session["_bitbucket_auth_answers"]["answers"].values()
    assert set(said) == {"at", "answer", "role", "user_uid"} and said["answer"] == "no"


@pytest.mark.parametrize("status", [401, 410, 429, 500, 503])
def test_what_is_unknown_is_503_and_asked_again(jane: Client, bitbucket: BitbucketSimulator, status: int) -> None:
    bitbucket.fail("permission", status)
    response = jane.get("/members/")
    assert (response.status_code, reason_of(response)) == (503, "membership_unknown")
    assert reason(jane.get("/members/", headers=JSON)) == (503, "membership_unknown")
    bitbucket.heal()
    assert jane.get("/members/").status_code == 200


def test_bitbucket_that_is_down_is_503(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.fail("user", 503)
    assert reason(jane.get("/members/", headers=JSON)) == (503, "membership_unknown")


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": {"slug": "acme-2", "name": "Acme Widgets"}},
        {"user": {"uuid": "{00000000-0000-4000-8000-000000000000}"}},
        {"permission": "collaborator"},
    ],
    ids=["another workspace of this name", "another person", "no member"],
)
def test_an_answer_about_something_else_opens_nothing(
    jane: Client, bitbucket: BitbucketSimulator, changes: dict[str, Any]
) -> None:
    body = {"permission": "owner", "workspace": {"slug": "acme"}, "user": {"uuid": bitbucket.person("jane").uuid}}
    bitbucket.answer("permission", 200, body=json.dumps({**body, **changes}))
    assert reason(jane.get("/members/", headers=JSON)) == (503, "membership_unknown")


def test_a_token_that_answers_for_another_person_opens_nothing(jane: Client, bitbucket: BitbucketSimulator) -> None:
    other = Client()
    log_in(other, "unconfirmed")
    # As if a row of the database had been swapped: whose token it is says Bitbucket.
    account = BitbucketAccount.objects.get(uid=bitbucket.person("jane").uuid)
    BitbucketAccount.objects.filter(pk=account.pk).update(uid="{00000000-0000-4000-8000-000000000000}")
    other = Client()
    other.force_login(account.user, "django.contrib.auth.backends.ModelBackend")
    assert reason(other.get("/members/", headers=JSON)) == (503, "membership_unknown")


def test_whoever_takes_over_the_slug_opens_nothing_that_is_named_by_uuid(bitbucket: BitbucketSimulator) -> None:
    uuid = bitbucket.workspaces["acme"].uuid
    view = bitbucket_login_required(workspaces=[uuid])(page)
    bitbucket.rename_workspace("acme", "acme-corp")
    bitbucket.add_workspace(Workspace("acme", uuid="{99999999-9999-4999-8999-999999999999}"))
    bitbucket.join("outsider", "acme", "owner")
    for person, expected in (("outsider", 403), ("jane", 200)):
        client = Client()
        log_in(client, person)
        assert view(request_of(client)).status_code == expected


def test_a_role_that_is_not_said_is_unknown_and_not_asked_for_in_vain(
    jane: Client, bitbucket: BitbucketSimulator
) -> None:
    bitbucket.rules.permission_names_role = False
    assert reason(jane.get("/owners/", headers=JSON)) == (503, "membership_unknown")
    assert jane.get("/members/").status_code == 200
    before = len(bitbucket.requests)
    view = bitbucket_login_required(workspaces=["acme:owner"])(page)
    assert view(request_of(jane)).status_code == 503
    assert len(bitbucket.requests) == before


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_without_a_token_people_sign_in_again_but_not_for_ever(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    BitbucketToken.objects.all().delete()
    # Just signed in, and yet there is none: as with STORE_TOKENS off.
    assert reason_of(jane.get("/members/")) == "membership_unknown"
    later(monkeypatch, 61)
    response = jane.get("/members/")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LOGIN}?next=%2Fmembers%2F")
    assert reason(jane.get("/members/", headers=JSON)) == (401, "login_required")
    log_in(jane, "jane")
    assert jane.get("/members/").status_code == 200


def test_who_just_signed_in_elsewhere_may_sign_in_here(jane: Client) -> None:
    with simulated_bitbucket("second") as other:
        assert connect(jane, other, alias="second").status_code == 302
        BitbucketToken.objects.filter(provider="second").delete()
        response = bitbucket_login_required(provider="second", workspaces=["acme"])(page)(request_of(jane))
        assert (response.status_code, response.headers["Location"]) == (302, "/bitbucket/second/login/?next=%2F")


def test_a_token_that_was_revoked_leads_to_bitbucket(
    jane: Client, bitbucket: BitbucketSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitbucket.revoke("jane")
    later(monkeypatch, 61)
    assert jane.get("/members/").status_code == 302


def test_an_access_token_that_has_ended_is_renewed(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.expire_access_tokens("jane")
    assert jane.get("/members/").status_code == 200


def test_a_deactivated_account_opens_nothing(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.person("jane").account_status = "closed"
    assert reason(jane.get("/members/", headers=JSON)) == (403, "inactive")
    bitbucket.deactivate("jane")
    assert reason(jane.get("/members/", headers=JSON)) == (403, "inactive")


def test_a_profile_that_identifies_nobody_opens_nothing(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.person("jane").profile["uuid"] = None
    assert reason(jane.get("/members/", headers=JSON)) == (503, "membership_unknown")


def test_settings_that_are_wrong_open_nothing(jane: Client) -> None:
    with override_provider("default", CLIENT_ID=""):
        assert reason(jane.get("/members/", headers=JSON)) == (503, "misconfigured")


# -- who was thrown out ------------------------------------------------------------------------------------------------


def by_password() -> Client:
    client = Client()
    client.force_login(User.objects.get(), "django.contrib.auth.backends.ModelBackend")
    return client


def ask(alias: str = "default") -> None:
    """As RECHECK does, in whosever session it is due."""
    account = BitbucketAccount.objects.get()
    claimed = memberships.claim(account, alias)
    assert claimed is not None
    memberships.answer(account, alias, claimed)


@pytest.mark.parametrize("why", ["not_a_member", "inactive"])
def test_an_account_of_which_bitbucket_has_said_no_proves_nothing(
    jane: Client, bitbucket: BitbucketSimulator, why: str
) -> None:
    with override_provider("default", WORKSPACES=["acme"]):
        if why == "inactive":
            bitbucket.person("jane").account_status = "closed"
        else:
            bitbucket.leave("jane", "acme")
        ask()
        for client, path in ((by_password(), "/plain/"), (by_password(), "/members/"), (jane, "/members/")):
            assert reason(client.get(path, headers=JSON)) == (403, why)


def test_a_sign_in_since_then_takes_the_no_back(jane: Client, bitbucket: BitbucketSimulator) -> None:
    with override_provider("default", WORKSPACES=["acme"]):
        bitbucket.leave("jane", "acme")
        ask()
        bitbucket.join("jane", "acme")
        assert by_password().get("/plain/").status_code == 403
        log_in(jane, "jane")
        for client in (jane, by_password()):
            assert client.get("/plain/").content == b"plain"
            assert client.get("/members/").content == b"members"


def test_a_sign_in_elsewhere_takes_no_no_back(jane: Client, bitbucket: BitbucketSimulator) -> None:
    with simulated_bitbucket("second") as other, override_provider("default", WORKSPACES=["acme"]):
        bitbucket.leave("jane", "acme")
        ask()
        assert connect(jane, other, alias="second").status_code == 302
        log_in(jane, "jane", alias="second")
        assert reason_of(jane.get("/plain/")) == "not_a_member"


def test_the_no_of_one_alias_is_none_of_another(jane: Client, bitbucket: BitbucketSimulator) -> None:
    with pointed_at(bitbucket, "second", WORKSPACES=["*"]), override_provider("default", WORKSPACES=["acme"]):
        log_in(jane, "jane", alias="second")
        log_in(jane, "jane")
        bitbucket.leave("jane", "acme")
        ask()
        assert reason_of(by_password().get("/plain/")) == "not_a_member"
        assert by_password().get("/second/").content == b"second"


# -- scopes ------------------------------------------------------------------------------------------------------------


def test_a_missing_scope_leads_to_bitbucket_once_and_then_is_403(jane: Client, bitbucket: BitbucketSimulator) -> None:
    bitbucket.client.scopes = ("account", "email")
    log_in(jane, "jane")
    assert reason(jane.get("/admins/", headers=JSON)) == (403, "insufficient_scope")
    response = jane.get("/admins/")
    assert (response.status_code, response.headers["Location"]) == (302, f"{LOGIN}?next=%2Fadmins%2F")
    log_in(jane, "jane")
    for _ in range(2):
        response = jane.get("/admins/")
        assert (response.status_code, reason_of(response)) == (403, "insufficient_scope")
    bitbucket.client.scopes = ("account", "email", "repository:admin")
    log_in(jane, "jane")
    assert jane.get("/admins/").content == b"admins"


def test_without_a_token_there_are_no_scopes(jane: Client) -> None:
    BitbucketToken.objects.all().delete()
    assert reason_of(jane.get("/admins/")) == "membership_unknown"


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"workspaces": "acme"},
        {"workspaces": [""]},
        {"workspaces": ["acme widgets"]},
        {"workspaces": ["acme:admin"]},
        {"workspaces": ["*"]},
        {"workspaces": None},
        {"scopes": "account"},
        {"scopes": [1]},
        {"max_age": -1},
        {"max_age": "300"},
        {"max_age": True},
        {"max_age": float("nan")},
    ],
    ids=str,
)
def test_arguments_that_would_let_others_in_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="bitbucket_login_required"):
        bitbucket_login_required(**arguments)


@pytest.mark.parametrize("view", [View, TemplateView])
def test_a_mixin_that_would_guard_nothing_is_refused_at_once(view: type) -> None:
    with pytest.raises(ConfigurationError, match="BitbucketLoginRequiredMixin guards nothing in Open"):
        type("Open", (view, BitbucketLoginRequiredMixin), {})


def test_a_mixin_of_a_projects_own_may_stand_between() -> None:
    between = type("Between", (BitbucketLoginRequiredMixin,), {"workspaces": ["acme"]})
    assert issubclass(type("Guarded", (between, TemplateView), {}), View)


def test_both_ways_to_use_it_are_known_to_type_checkers() -> None:
    bare, called = get_overloads(bitbucket_login_required)
    assert (bare(page), called()) == (None, None)


def test_a_view_keeps_its_name_and_what_it_says() -> None:
    from guarding import amembers, members

    assert (members.__name__, members.__doc__) == ("members", "For members.")
    assert amembers.__name__ == "amembers"
