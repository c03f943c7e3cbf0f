"""The scheduled job of the example: with a token of the application's own, kept from run to run."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from django_bitbucket_auth.models import BitbucketToken
from django_bitbucket_auth.testing import BitbucketSimulator, Repository, override_provider

ACME = """\
acme: 4 repositories
  Robot (public, updated 2026-11-20)
  Web shop (private, python, updated 2026-10-05)
  Deploy tools (private, python, updated 2026-10-05)
  Style guide (private, html/css, updated 2026-10-05)
"""


@pytest.fixture
def acme(site: BitbucketSimulator) -> BitbucketSimulator:
    """With a repository that lacks something."""
    site.add_repository(
        Repository("acme", "robot", "Robot", is_private=False, language="", updated_on="2026-11-20T08:30:00+00:00")
    )
    return site


def report(*workspace: str) -> str:
    from website.management.commands.workspace_report import Command

    said = StringIO()
    call_command(Command(), *workspace, stdout=said)
    return said.getvalue()


def test_the_second_run_asks_for_no_token(acme: BitbucketSimulator) -> None:
    assert report("acme") == ACME
    assert report("acme") == ACME
    (asked,) = acme.requests_to("token")
    assert asked.form == {"grant_type": "client_credentials"}
    kept = BitbucketToken.objects.get()
    assert (kept.key, kept.grant, kept.account) == ("application:default", "client_credentials", None)
    token = kept.reveal()
    assert token is not None
    assert acme.requests[-1].headers["authorization"] == f"Bearer {token.access_token}"
    assert token.access_token not in str(BitbucketToken.objects.values())


def test_a_token_that_is_no_longer_good_is_replaced(acme: BitbucketSimulator) -> None:
    report("acme")
    acme.expire_access_tokens()
    assert report("acme") == ACME
    acme.revoke(None)
    assert report("acme") == ACME
    assert len(acme.requests_to("token")) == 3


def test_a_workspace_may_be_named_by_its_uuid(acme: BitbucketSimulator) -> None:
    uuid = acme.workspaces["acme"].uuid
    assert report(uuid) == ACME.replace("acme", uuid, 1)


def test_without_a_name_it_reports_on_all_that_the_application_gets_into(acme: BitbucketSimulator) -> None:
    assert report() == ACME
    acme.repositories = acme.repositories[:1]
    assert report().startswith("acme: 1 repository\n")


def test_an_application_without_a_workspace_is_told_so(site: BitbucketSimulator) -> None:
    site.client.workspace = "gone"
    with pytest.raises(CommandError, match="can't get into any workspace"):
        report()


def down(site: BitbucketSimulator) -> None:
    site.fail("repositories", 503, retry_after=60)


def down_for_tokens(site: BitbucketSimulator) -> None:
    site.cut("token")


def busy(site: BitbucketSimulator) -> None:
    site.fail("repositories", 429)


def unknown(site: BitbucketSimulator) -> None:
    site.client.client_secret = "another"


def unpermitted(site: BitbucketSimulator) -> None:
    site.client.scopes = ("account",)


def odd(site: BitbucketSimulator) -> None:
    site.answer("repositories", body="<html>")


def fine(site: BitbucketSimulator) -> None:
    """Nothing is wrong with Bitbucket."""


@pytest.mark.parametrize(
    ("trouble", "workspace", "said"),
    [
        (down, "acme", r"can't be asked at the moment: .*503.* The next run tries again\."),
        (down_for_tokens, "acme", r"can't be asked at the moment: .* The next run tries again\."),
        (busy, "acme", r"can't be asked at the moment: .*429.* The next run tries again\."),
        (unknown, "acme", r"refuses the OAuth client of this site: .* Check BITBUCKET_CLIENT_ID and"),
        (unpermitted, "acme", r"lacks a scope \(required: repository; .*\)\. An administrator .*Repositories: Read"),
        (odd, "acme", r"made no sense: 'no_json'"),
        (fine, "nobodys", r"doesn't show this workspace to the OAuth client of this site: No workspace .*'nobodys'"),
        (fine, "acme/web-shop", r"can't be the name of a workspace: use its slug, or its uuid in braces\."),
        (fine, "..", r"can't be the name of a workspace: use its slug, or its uuid in braces\."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    trouble: Callable[[BitbucketSimulator], None], workspace: str, said: str, site: BitbucketSimulator
) -> None:
    trouble(site)
    with pytest.raises(CommandError, match=said) as raised:
        report(workspace)
    assert raised.value.returncode == 1


def test_settings_that_are_wrong_are_named(site: BitbucketSimulator) -> None:
    with override_provider("default", TIMEOUT="soon"), pytest.raises(CommandError, match=r"^BITBUCKET_AUTH.*TIMEOUT"):
        report("acme")
