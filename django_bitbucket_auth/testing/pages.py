"""The pages a person sees: consent, and what Bitbucket shows instead of sending people back."""

from __future__ import annotations

from html import escape

from oauthlib.oauth2.rfc6749 import errors

from .looks import STYLE
from .messages import Answer, html_answer
from .people import Person
from .world import World

SCOPE_WORDS = {
    "account": "Read your account: your names, and which workspaces you are in",
    "email": "Read your e-mail addresses",
    "repository": "Read your repositories",
    "repository:admin": "Create and administer repositories",
    "PUBLIC_REPOS": "View projects and repositories that are public",
    "ACCOUNT_WRITE": "View and change your account",
    "REPO_READ": "View projects and repositories that you can view",
    "REPO_WRITE": "Push to repositories that you can push to",
    "REPO_ADMIN": "Administer repositories",
    "PROJECT_ADMIN": "Administer projects",
    "ADMIN_WRITE": "Administer Bitbucket",
    "SYSTEM_ADMIN": "Administer the system",
}
BADGE = '<p class="badge">Simulator &middot; not the real Bitbucket</p>'


def page(status: int, title: str, content: str, *, wide: bool = False) -> Answer:
    """A page of the simulator. ``title`` is text, ``content`` escaped HTML."""
    kind = "card wide" if wide else "card"
    return html_answer(status, title, f'<main class="{kind}">{BADGE}{content}</main>', STYLE)


def problem(world: World, status: int, message: str) -> Answer:
    """A page with one sentence, and no way back to the site: that's how Bitbucket does it."""
    return page(status, "Something is wrong", f"<h1>{escape(message)}</h1>{_dials_link(world)}")


def _dials_link(world: World) -> str:
    return f'<p class="foot"><a href="{world.context_path}/_simulator/">Dials: faults, people, clock, rules</a></p>'


def misconfigured(world: World, error: errors.FatalClientError) -> Answer:
    """A request that can't be trusted to name where people come from (bitbucket.md 1.7)."""
    if isinstance(error, errors.InvalidRedirectURIError | errors.MismatchingRedirectURIError):
        what = "Invalid redirect_uri."
    elif isinstance(error, errors.InvalidClientIdError | errors.MissingClientIdError):
        what = "Invalid client_id."
    else:
        what = "Invalid request."
    return problem(world, 400, f"{what} This integration is misconfigured. Contact the vendor for assistance.")


def consent(world: World, path: str, fields: list[tuple[str, str]], wishes: list[str]) -> Answer:
    """Who are you, and do you allow it?

    A form that POSTs to the same ``path``: hidden fields that repeat the site's request, a button
    ``person`` with a key as its value for everybody, and a button ``deny`` with the value ``1``.
    """
    hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields)
    wished = "".join(f"<li>{escape(SCOPE_WORDS.get(wish, wish))}</li>" for wish in wishes)
    people = "".join(f"<li>{_button(person)}</li>" for person in world.people.values())
    name = escape(world.client.name)
    return page(
        200,
        f"{world.client.name} asks for access",
        f"<h1>{name} asks for access to your account</h1>"
        f"<p>It would like to:</p><ul>{wished}</ul>"
        f'<form method="post" action="{world.context_path}{path}">'
        f'{hidden}<p class="lead">Grant access as</p><ul class="people">{people}</ul>'
        '<button class="deny" name="deny" value="1">Deny</button></form>' + _dials_link(world),
    )


def _button(person: Person) -> str:
    note = f"<small>{escape(person.note)}</small>" if person.note else ""
    return (
        f'<button class="person" name="person" value="{escape(person.key)}">'
        f'<span class="face" aria-hidden="true">{escape(person.initials)}</span>'
        f"<span><b>{escape(person.display_name)}</b>{note}</span></button>"
    )
