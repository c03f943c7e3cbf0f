"""The reason codes: what each answers and says, and where other words fit when it is an account that is connected."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to fail: our HTTP status, the log's level, and the words on the page."""

    status: int
    level: int
    title: str | Promise
    message: str | Promise
    again: bool = True


REASONS: dict[str, Reason] = {
    "cancelled": Reason(
        403,
        logging.WARNING,
        _("You were not signed in"),
        _(
            "Bitbucket was not allowed to tell this site who you are. If you change your mind, sign in again and "
            "choose “Grant access”."
        ),
    ),
    "state_missing": Reason(
        400,
        logging.WARNING,
        _("This sign-in was not started here"),
        _(
            "This browser has no record of the sign-in that Bitbucket answered: it may have begun in another "
            "browser, cookies may be switched off, or it is finished already. Please sign in again."
        ),
    ),
    "state_expired": Reason(
        400,
        logging.WARNING,
        _("The sign-in took too long"),
        _("For your safety a sign-in has to be finished within a few minutes. Please sign in again."),
    ),
    "state_reused": Reason(
        400, logging.WARNING, _("This sign-in was used before"), _("Each sign-in works once. Please sign in again.")
    ),
    "state_mismatch": Reason(
        400,
        logging.WARNING,
        _("This sign-in doesn't fit"),
        _("Bitbucket's answer doesn't belong to the sign-in that this browser started. Please sign in again."),
    ),
    "login_required": Reason(
        401,
        logging.WARNING,
        _("Please sign in with Bitbucket"),
        _("This page is for people who have signed in with Bitbucket, and what you sent was not accepted."),
    ),
    "not_a_member": Reason(
        403,
        logging.WARNING,
        _("You are not a member"),
        _(
            "This site is for members of certain Bitbucket workspaces, and your account is in none of them. Ask "
            "an administrator of the workspace to invite you, or sign in with another account."
        ),
    ),
    "membership_unknown": Reason(
        503,
        logging.WARNING,
        _("Your membership could not be checked"),
        _(
            "This site is for members of certain Bitbucket workspaces, and Bitbucket can't say at the moment "
            "whether you are one. Please try again in a minute."
        ),
    ),
    "vetoed": Reason(
        403,
        logging.WARNING,
        _("You may not sign in here"),
        _(
            "This site doesn't let this Bitbucket account in. If you think that it should, ask the people who run "
            "the site."
        ),
    ),
    "inactive": Reason(
        403,
        logging.WARNING,
        _("This account is deactivated"),
        _(
            "The account is switched off, at Bitbucket or on this site. Ask the people who run the site to switch "
            "it on again."
        ),
        again=False,
    ),
    "not_a_person": Reason(
        502,
        logging.WARNING,
        _("This is not a person's account"),
        _(
            "Bitbucket answered with an account that belongs to an app or an access token. Sign in at Bitbucket "
            "as yourself, and try again."
        ),
    ),
    "no_stable_id": Reason(
        502,
        logging.ERROR,
        _("Bitbucket didn't say who you are"),
        _(
            "Bitbucket's answer lacks the id that this site knows people by. Please tell the people who run this "
            "site, and give them the code below."
        ),
    ),
    "email_required": Reason(
        403,
        logging.WARNING,
        _("A confirmed e-mail address is needed"),
        _(
            "Your Bitbucket account has no confirmed e-mail address. Confirm one in Bitbucket's personal "
            "settings, then sign in again."
        ),
    ),
    "email_taken": Reason(
        403,
        logging.WARNING,
        _("Your e-mail address is in use here"),
        _(
            "There already is an account on this site with your e-mail address, or with something else that must "
            "be unique. Sign in to it the way you did before, or ask the people who run the site."
        ),
    ),
    "sign_up_closed": Reason(
        403,
        logging.WARNING,
        _("There is no account for you yet"),
        _("This site doesn't create accounts by itself. Ask the people who run it for one."),
    ),
    "already_connected": Reason(
        403,
        logging.WARNING,
        _("This Bitbucket account is tied to another user"),
        _(
            "Your Bitbucket account can't be used for this. Please tell the people who run this site, and give "
            "them the code below."
        ),
        again=False,
    ),
    "connect_mismatch": Reason(
        400,
        logging.WARNING,
        _("The account was not connected"),
        _(
            "It has to be connected by the same person from beginning to end. You signed out or changed your password "
            "in between, or somebody else had begun. Please sign in, and connect the account again."
        ),
    ),
    "client_refused": Reason(
        502,
        logging.ERROR,
        _("Bitbucket refuses this site"),
        _(
            "Bitbucket doesn't accept the credentials of this site. That isn't your fault. Please tell the people "
            "who run this site, and give them the code below."
        ),
    ),
    "insufficient_scope": Reason(
        502,
        logging.ERROR,
        _("This site may not ask who you are"),
        _(
            "The site's registration at Bitbucket lacks a permission. Please tell the people who run this site, "
            "and give them the code below."
        ),
    ),
    "bad_answer": Reason(
        502,
        logging.ERROR,
        _("Bitbucket's answer made no sense"),
        _("Please try again. If it happens twice, tell the people who run this site, and give them the code below."),
    ),
    "unavailable": Reason(
        503,
        logging.WARNING,
        _("Signing in doesn't work at the moment"),
        _("Bitbucket is down or overloaded, or the way there is. Please try again in a minute."),
    ),
    "rate_limited": Reason(
        503,
        logging.WARNING,
        _("Too many sign-ins at once"),
        _("Bitbucket answers this site only so often in an hour. Please try again in a few minutes."),
    ),
    "timed_out": Reason(
        504, logging.WARNING, _("Bitbucket took too long"), _("It didn't answer in time. Please try again in a minute.")
    ),
    "misconfigured": Reason(
        503,
        logging.ERROR,
        _("Sign-in isn't set up correctly"),
        _(
            "This site's settings for Bitbucket are incomplete or wrong. Please tell the people who run this "
            "site, and give them the code below."
        ),
        again=False,
    ),
}

#: Reason code → title and message, where those of a sign-in don't fit.
CONNECTING: dict[str, tuple[str | Promise, str | Promise]] = {
    "cancelled": (
        _("The account was not connected"),
        _(
            "Bitbucket was not allowed to tell this site whose account it is. If you change your mind, connect it "
            "again and choose “Grant access”."
        ),
    ),
    "state_expired": (
        _("Connecting took too long"),
        _("For your safety it has to be finished within a few minutes. Please connect the account again."),
    ),
    "state_reused": (_("This was used before"), _("Each attempt works once. Please connect the account again.")),
    "not_a_member": (
        _("This account is not a member"),
        _(
            "This site is for members of certain Bitbucket workspaces, and this account is in none of them. Ask an "
            "administrator of the workspace to invite it, or connect another account."
        ),
    ),
    "membership_unknown": (
        _("The membership could not be checked"),
        _(
            "This site is for members of certain Bitbucket workspaces, and Bitbucket can't say at the moment whether "
            "this account is one. Please try again in a minute."
        ),
    ),
    "vetoed": (
        _("You may not connect this account"),
        _(
            "This site doesn't let you connect this Bitbucket account. If you think that it should, ask the people who "
            "run the site."
        ),
    ),
    "not_a_person": (
        _("This is not a person's account"),
        _(
            "Bitbucket answered with an account that belongs to an app or an access token. Sign in at Bitbucket as "
            "yourself, and connect that account."
        ),
    ),
    "no_stable_id": (
        _("Bitbucket didn't say whose account it is"),
        _(
            "Bitbucket's answer lacks the id that this site knows accounts by. Please tell the people who run this "
            "site, and give them the code below."
        ),
    ),
    "already_connected": (
        _("This Bitbucket account is tied to another user"),
        _(
            "If the other user of this site is you as well, sign in with the account and disconnect it there first. "
            "If you don't know about another user, tell the people who run this site, and give them the code below."
        ),
    ),
    "insufficient_scope": (
        _("This site may not ask whose account it is"),
        _(
            "The site's registration at Bitbucket lacks a permission. Please tell the people who run this site, and "
            "give them the code below."
        ),
    ),
    "unavailable": (
        _("Connecting doesn't work at the moment"),
        _("Bitbucket is down or overloaded, or the way there is. Please try again in a minute."),
    ),
    "rate_limited": (
        _("Too many requests at once"),
        _("Bitbucket answers this site only so often in an hour. Please try again in a few minutes."),
    ),
    "misconfigured": (
        _("Connecting isn't set up correctly"),
        _(
            "This site's settings for Bitbucket are incomplete or wrong. Please tell the people who run this site, and "
            "give them the code below."
        ),
    ),
}
