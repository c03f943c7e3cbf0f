"""All cases against one provider, and the stored token of a person who is named."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables

from ... import conf
from ...exceptions import BitbucketAuthError, BitbucketUnavailable, NotConnected
from ...flight import Flight
from ...models import BitbucketAccount, BitbucketToken
from ...oauth.token import Token
from ...stores import database
from ..doctor.patient import Patient, about_url, get
from . import cloud, data_center, oauth1, oauth2, renewing
from .cases import Case, Result, result_of, words
from .subject import Subject, Unknown

CASES: tuple[Case, ...] = (*oauth2.CASES, *oauth1.CASES, *cloud.CASES, *data_center.CASES, *renewing.CASES)


class NotAsked(Exception):
    """There is no use in asking; the text says why."""


def compare(
    patient: Patient, *, account: str | None = None, user: str | None = None, refresh: bool = False
) -> list[Result]:
    """What comes of each case that concerns this kind of Bitbucket. Arguments and errors are ``subject_of``'s."""
    subject = subject_of(patient, account=account, user=user, refresh=refresh)
    return [result_of(case, subject) for case in cases_for(subject)]


def cases_for(subject: Subject) -> list[Case]:
    """Those that concern this kind of Bitbucket."""
    provider = subject.provider()
    return [case for case in CASES if case.applies(provider)]


def subject_of(
    patient: Patient, *, account: str | None = None, user: str | None = None, refresh: bool = False
) -> Subject:
    """The provider, to be asked, with the stored token of the ``account`` or ``user``; ``refresh``: it may be renewed.

    Raises:
        NotAsked: the credentials aren't set, or Bitbucket isn't reached.
        CommandError: nobody goes by that name or number.
    """
    if not patient.has_credentials:
        raise NotAsked("The client's credentials aren't set: there is nothing to ask with.")
    subject = Subject(patient)
    try:
        # Otherwise each case would wait in vain.
        get(subject.provider(), about_url(subject.provider()))
    except BitbucketUnavailable as error:
        raise NotAsked(f"{error}.") from None
    if account or user:
        _ask_as(subject, _rows(account, user), refresh=refresh)
    return subject


def _rows(account: str | None, user: str | None) -> Any:
    """The tokens of who is named."""
    rows = database.all_rows().select_related("account__user").order_by("account")
    users = get_user_model()
    try:
        if account:
            return rows.filter(account=BitbucketAccount.objects.get(pk=account))
        return rows.filter(account__user=users._default_manager.get(**{users.USERNAME_FIELD: user}))
    except (BitbucketAccount.DoesNotExist, users.DoesNotExist, ValueError):
        raise CommandError(f"There is no {'account' if account else 'user'} {account or user!r}.") from None


@sensitive_variables()
def _ask_as(subject: Subject, rows: Any, *, refresh: bool) -> None:
    """Let the subject have the token of the first row that is for this provider, and is good for something."""
    configuration = subject.configuration
    row: BitbucketToken | None = next((row for row in rows if row.provider == configuration.alias), None)
    if row is None or row.account is None:
        subject.why_nobody = "the person has no token of this provider: let them sign in"
        return
    flight = Flight(
        configuration=configuration,
        instance=conf.provider(configuration).instance,
        store=database.AccountTokenStore(row.account),
        key=row.key,
        account=row.account,
    )
    try:
        database.check_active(row)
    except NotConnected:
        subject.why_nobody = "the person is inactive here"
        return
    record = database.record_of(row)
    # A token of the other protocol is no secret to sign by, and a signing one must not travel in a header.
    if not flight.fits(record) or (record.grant == "oauth1") is not subject.provider().signs_requests:
        subject.why_nobody = "the stored token isn't for this Bitbucket or protocol, or unreadable: let them sign in"
        return
    subject.person = record.token
    if refresh:

        def renew(stale: Token) -> Token:
            # By the one flight that all renewals take: the new pair is kept, and others who renew are waited for.
            return flight.token(stale)

        subject.renew = renew
    if record.token.expired():
        try:
            subject.renewed()
        except (BitbucketAuthError, Unknown) as error:
            subject.person = None
            why = words(error) if isinstance(error, BitbucketAuthError) else "pass --refresh"
            subject.why_nobody = f"the stored token has ended: {why}"
