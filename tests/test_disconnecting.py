"""One account less: only one's own, never the last way in, and its tokens are gone for good."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, connections
from django.http import HttpRequest
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from logins import statements_fail, verified_by
from steps import CONNECTIONS, DISCONNECT, connect, listening, reason_of
from stored import Overtaken, stored

from django_bitbucket_auth import conf
from django_bitbucket_auth.api import get_session
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import NotConnected
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.signals import account_disconnected
from django_bitbucket_auth.testing import BitbucketSimulator, log_in, override_provider, simulated_bitbucket

pytestmark = pytest.mark.django_db
OURS = "django_bitbucket_auth.backends.BitbucketBackend"
PASSWORDS = "django.contrib.auth.backends.ModelBackend"
REMOTE = "django.contrib.auth.backends.RemoteUserBackend"


class Lenient(BitbucketBackend):
    """Answers as the test says, and remembers what it was asked."""

    answer: Any = True
    asked: list[tuple[Any, ...]] = []  # noqa: RUF012 - the settings name the class

    def can_disconnect(self, request: HttpRequest, user: User, account: BitbucketAccount) -> Any:
        self.asked.append((request.path, user.pk, account.uid))
        return self.answer


@pytest.fixture
def client(bitbucket: BitbucketSimulator) -> Client:
    """Jane's browser, who signs in with Bitbucket and has no password."""
    client = Client()
    log_in(client, "jane")
    return client


@pytest.fixture
def jane(client: Client) -> User:
    return User.objects.get(username="jdoe")


def account_of(person: str = "jdoe") -> BitbucketAccount:
    return BitbucketAccount.objects.get(username=person)


def give_up(client: Client, account: object, **form: Any) -> Any:
    return client.post(DISCONNECT, {"account": getattr(account, "pk", account), **form})


def is_refused(client: Client, account: BitbucketAccount) -> bool:
    """Whether the account stays. Asserts that its tokens don't, and what the answer says."""
    response = give_up(client, account)
    assert not account.tokens.exists()
    there = BitbucketAccount.objects.filter(pk=account.pk).exists()
    assert response.status_code == (403 if there else 302)
    assert (b"stays connected" in response.content) is there
    return there


# -- one of several ----------------------------------------------------------------------------------------------------


def test_one_of_two_accounts_is_given_up(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    connect(client, bitbucket, "outsider")
    for wish, place in ((("/private/"), "/private/"), ("//evil.example", CONNECTIONS)):
        response = give_up(client, account_of("olga"), next=wish)
        assert (response.status_code, response.headers["Location"]) == (302, place)
        assert [account.username for account in jane.bitbucket_accounts.all()] == ["jdoe"]
        assert BitbucketToken.objects.count() == 1 and client.get("/private/").content == b"jdoe"
        connect(client, bitbucket, "outsider")
    give_up(client, account_of())
    assert [account.username for account in jane.bitbucket_accounts.all()] == ["olga"]


def test_who_comes_by_it_again_is_somebody_new(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    connect(client, bitbucket, "outsider")
    give_up(client, account_of("olga"))
    log_in(Client(), "outsider")
    assert account_of("olga").user != jane


def test_an_account_at_another_bitbucket_will_do(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    with simulated_bitbucket("dc", kind="data-center") as dc:
        connect(client, dc, "jane", alias="dc")
        response = client.post("/bitbucket/dc/disconnect/", {"account": account_of().pk})
    assert response.status_code == 302 and jane.bitbucket_accounts.get().provider == "dc"


@pytest.mark.django_db(transaction=True)
def test_it_is_told_of_after_commit(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    connect(client, bitbucket, "outsider")
    olga, heard = account_of("olga"), []

    def hear(**told: Any) -> None:
        gone = not BitbucketAccount.objects.filter(pk=olga.pk).exists()
        heard.append((told["user"], told["account"].pk, told["account"].uid, gone, connection.in_atomic_block))
        raise ValueError("only told, and not asked")

    with listening(account_disconnected, hear):
        assert give_up(client, olga).status_code == 302
        assert give_up(client, account_of()).status_code == 403
    assert heard == [(jane, olga.pk, olga.uid, True, False)]


def test_what_it_costs(bitbucket: BitbucketSimulator, client: Client) -> None:
    connect(client, bitbucket, "outsider")
    noise = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    with CaptureQueriesContext(connection) as queries:
        give_up(client, account_of("olga").pk)
    written = [query["sql"] for query in queries.captured_queries if not query["sql"].startswith(noise)]
    # The test's own, session, user; the user's row locked, the accounts, tokens and account deleted.
    assert len(written) == 8, written


# -- who may, and what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["foreign", "", "0", "-1", "x", "1e0", "9" * 40, "\u0661", "jdoe", "\0"])
def test_what_isnt_ones_own_is_not_found(bitbucket: BitbucketSimulator, client: Client, jane: User, which: str) -> None:
    log_in(Client(), "outsider")
    wanted = account_of("olga").pk if which == "foreign" else which
    assert give_up(client, wanted).status_code == 404
    assert client.post(DISCONNECT).status_code == 404
    assert BitbucketAccount.objects.count() == BitbucketToken.objects.count() == 2


def test_superusers_give_up_their_own_only(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    User.objects.filter(pk=jane.pk).update(is_superuser=True, is_staff=True)
    log_in(Client(), "outsider")
    assert give_up(client, account_of("olga")).status_code == 404


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_a_post_gives_up(client: Client, method: str) -> None:
    assert getattr(client, method)(f"{DISCONNECT}?account={account_of().pk}").status_code == 405
    assert BitbucketToken.objects.exists()


def test_a_post_from_elsewhere_gives_up_nothing(client: Client, jane: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(jane, OURS)
    assert give_up(strict, account_of()).status_code == 403
    assert BitbucketToken.objects.exists()
    strict.get(CONNECTIONS)
    token = strict.cookies["csrftoken"].value
    give_up(strict, account_of(), csrfmiddlewaretoken=token)
    assert not BitbucketToken.objects.exists()


def test_who_isnt_signed_in_gives_up_nothing(client: Client) -> None:
    response = give_up(Client(), account_of())
    assert response.status_code == 403 and response.headers["Refresh"].endswith(f"?next={CONNECTIONS}")
    assert BitbucketToken.objects.exists()


def test_who_is_inactive_gives_up_nothing(client: Client, jane: User) -> None:
    everybody = "django.contrib.auth.backends.AllowAllUsersModelBackend"
    with override_settings(AUTHENTICATION_BACKENDS=[OURS, everybody]):
        client.force_login(jane, everybody)
        User.objects.update(is_active=False)
        response = give_up(client, account_of())
    assert response.status_code == 403 and reason_of(response) == "inactive" and BitbucketToken.objects.exists()


def test_an_alias_that_isnt_configured_is_not_found(client: Client) -> None:
    assert client.post("/bitbucket/other/disconnect/", {"account": account_of().pk}).status_code == 404
    assert BitbucketToken.objects.exists()


# -- the last way in ---------------------------------------------------------------------------------------------------


def test_the_last_way_in_stays_and_its_tokens_go(client: Client, jane: User) -> None:
    assert is_refused(client, account_of())
    with pytest.raises(NotConnected):
        get_session(jane)
    fresh = Client()
    log_in(fresh, "jane")
    assert fresh.get("/private/").content == b"jdoe" and account_of().tokens.exists()


@pytest.mark.parametrize("stale", ["alias", "instance", "settings"])
def test_an_account_that_lets_nobody_in_any_more_doesnt_count(client: Client, jane: User, stale: str) -> None:
    """The flaw of whoever counts rows: a Bitbucket that was taken out of the settings is no way in."""
    with simulated_bitbucket("dc", kind="data-center") as dc:
        connect(client, dc, "jane", alias="dc")
        keys = conf.given("dc")
        changed: dict[str, Any] = {"instance": {"INSTANCE": "new"}, "settings": {"RETRIES": "many"}}.get(stale, {})
        if changed:
            with override_provider("dc", **keys | changed):
                assert is_refused(client, account_of())
    if not changed:
        assert is_refused(client, account_of())
    assert jane.bitbucket_accounts.count() == 2


def test_another_alias_of_the_same_bitbucket_counts(bitbucket: BitbucketSimulator, client: Client, jane: User) -> None:
    connect(client, bitbucket, "outsider")
    BitbucketAccount.objects.update(provider="former")
    assert not is_refused(client, account_of("olga"))


def test_somebody_elses_account_doesnt_count(bitbucket: BitbucketSimulator, client: Client) -> None:
    log_in(Client(), "outsider")
    assert is_refused(client, account_of())


@pytest.mark.parametrize("password", ["", "!", "!unusable", "plain", "nobodys$1$salt$hash"])
def test_a_password_that_nobody_can_enter_doesnt_count(client: Client, jane: User, password: str) -> None:
    """An empty one, as of users who were saved without any, Django takes for usable."""
    User.objects.update(password=password)
    client.force_login(User.objects.get(), OURS)
    assert is_refused(client, account_of())


def test_a_password_that_works_does(client: Client, jane: User) -> None:
    jane.set_password("correct horse")
    jane.save()
    client.force_login(jane, OURS)
    assert not is_refused(client, account_of())
    assert Client().login(username="jdoe", password="correct horse")


@pytest.mark.parametrize("others", [[], [REMOTE]])
def test_a_password_that_no_backend_asks_for_doesnt_count(client: Client, jane: User, others: list[str]) -> None:
    jane.set_password("correct horse")
    jane.save()
    with override_settings(AUTHENTICATION_BACKENDS=[OURS, *others]):
        client.force_login(jane, OURS)
        assert is_refused(client, account_of())


@pytest.mark.parametrize(("answer", "stays"), [(True, False), (False, True), (None, True), (1, True), ("yes", True)])
def test_the_backend_may_know_of_another_way(client: Client, jane: User, answer: Any, stays: bool) -> None:
    """Only ``True`` counts: the coroutine of an ``async def`` is true, too."""
    Lenient.answer, account = answer, account_of()
    Lenient.asked.clear()
    ours = f"{__name__}.Lenient"
    with override_settings(AUTHENTICATION_BACKENDS=[ours]):
        client.force_login(jane, ours)
        assert is_refused(client, account) is stays
    assert Lenient.asked[0] == (DISCONNECT, jane.pk, account.uid)


def test_the_backend_isnt_asked_where_another_way_is_known(
    bitbucket: BitbucketSimulator, client: Client, jane: User
) -> None:
    connect(client, bitbucket, "outsider")
    Lenient.answer = False
    Lenient.asked.clear()
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Lenient"]):
        client.force_login(jane, f"{__name__}.Lenient")
        assert not is_refused(client, account_of("olga"))
    assert Lenient.asked == []


# -- at the same time --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_who_give_up_the_last_two_accounts_at_once_one_is_refused(
    bitbucket: BitbucketSimulator, client: Client, jane: User
) -> None:
    """Each sees the other's account as the way in that is left, unless the user's row is locked."""
    connect(client, bitbucket, "outsider")
    for _ in range(3):
        both = list(jane.bitbucket_accounts.all())
        cookie = client.cookies["sessionid"].value
        together = threading.Barrier(2, timeout=20)

        def run(account: BitbucketAccount, cookie: str = cookie, together: threading.Barrier = together) -> int:
            tab = Client()
            tab.cookies["sessionid"] = cookie
            try:
                tab.get("/private/")
                together.wait()
                return int(give_up(tab, account).status_code)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(run, both)) == [302, 403]
        left = jane.bitbucket_accounts.get()
        assert not left.tokens.exists()
        connect(client, bitbucket, "outsider" if left.username == "jdoe" else "jane")


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_connect_one_account_at_once_one_gets_it(bitbucket: BitbucketSimulator) -> None:
    people = [User.objects.create_user(name) for name in ("anna", "mallory")]
    together = threading.Barrier(2, timeout=20)

    def run(user: User) -> Any:
        tab = Client()
        try:
            tab.force_login(user, PASSWORDS)
            return connect(tab, bitbucket)
        finally:
            connections.close_all()

    def wait(**kwargs: Any) -> None:
        together.wait()

    with verified_by(wait), ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(run, people))
    assert sorted(answer.status_code for answer in answers) == [302, 403]
    owner = people[[answer.status_code for answer in answers].index(302)]
    assert BitbucketAccount.objects.get().user == owner and BitbucketToken.objects.get().version == 1


@pytest.mark.parametrize("refused", [True, False])
def test_a_renewal_under_way_doesnt_bring_the_tokens_back(
    bitbucket: BitbucketSimulator, client: Client, jane: User, refused: bool
) -> None:
    if not refused:
        connect(client, bitbucket, "outsider")
    row = stored(bitbucket, ended=True)
    assert row.account is not None and row.account.user == jane
    statuses: list[int] = []
    Overtaken.acts = [lambda: statuses.append(give_up(client, row.account).status_code)]
    with override_provider("default", KIND="stored.Overtaken"), pytest.raises(NotConnected):
        get_session(row.account).json("user")
    assert statuses == [403 if refused else 302]
    assert not BitbucketToken.objects.filter(key=row.key).exists()


def test_others_in_the_way_are_waited_for_once(bitbucket: BitbucketSimulator, client: Client) -> None:
    connect(client, bitbucket, "outsider")
    delete = 'DELETE FROM "bitbucket_auth_bitbucketaccount"'
    with statements_fail(delete, OperationalError("locked")):
        assert give_up(client, account_of("olga")).status_code == 302
    connect(client, bitbucket, "outsider")
    # A sign-in of the same moment has stored a token that holds the row.
    with statements_fail(delete, IntegrityError("foreign key")):
        assert give_up(client, account_of("olga")).status_code == 302
    connect(client, bitbucket, "outsider")
    with statements_fail(delete, OperationalError("locked"), 2):
        response = give_up(client, account_of("olga"))
    assert (response.status_code, reason_of(response)) == (503, "unavailable")
    assert BitbucketToken.objects.count() == 2
