"""What an administrator of a Bitbucket enters to register this site: as data, and as lines. No I/O, and no secrets.

Cloud's form is that of 2026. Data Center's for OAuth 2.0 is described by Atlassian, the one for OAuth 1.0a by those who
link an application of their own with one of Atlassian's:
https://confluence.atlassian.com/bitbucketserver081/configure-an-incoming-link-1141483396.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..oauth import urls

#: Of a site whose address nobody has said.
UNKNOWN_SITE = "https://<your site>"
_NAME = "a name that people recognise when Bitbucket asks them"
#: Where each scope of Cloud has its box, and which one it is by what follows the colon. Others go by the scope's name.
_CLOUD_BOXES = {
    "account": "Account",
    "issue": "Issues",
    "pipeline": "Pipelines",
    "project": "Projects",
    "pullrequest": "Pull requests",
    "repository": "Repositories",
    "runner": "Runners",
    "snippet": "Snippets",
}
_CLOUD_RIGHTS = {"": "Read", "write": "Write", "admin": "Admin", "delete": "Delete"}
#: https://confluence.atlassian.com/bitbucketserver0721/oauth-2-0-scopes-for-incoming-links-1115666709.html
_DATA_CENTER_BOXES = {
    "ACCOUNT_WRITE": "Account: Write",
    "REPO_READ": "Repositories: Read",
    "REPO_WRITE": "Repositories: Write",
    "REPO_ADMIN": "Repositories: Admin",
    "PROJECT_ADMIN": "Projects: Admin",
    "ADMIN_WRITE": "Admin: Write",
    "SYSTEM_ADMIN": "System admin: Write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The OAuth client of one provider, as far as a form asks for it.

    ``site`` is the address that somebody says their site has, or empty. ``signature_method``, ``consumer_key`` and
    ``public_key`` (PEM) are for OAuth 1.0a, and empty where there is none yet. ``variables`` are those of the
    environment that hold its credentials, by their settings' names; ``missing`` those that it needs and that are set
    nowhere.
    """

    kind: str
    base_url: str
    callback_url: str
    site: str = ""
    scopes: tuple[str, ...] = ()
    allow_http: bool = False
    signs_requests: bool = False
    signature_method: str = ""
    consumer_key: str = ""
    public_key: str = ""
    variables: Mapping[str, str]
    missing: tuple[str, ...] = ()

    @property
    def application_url(self) -> str:
        """The callback URL up to its path."""
        return "/".join(self.callback_url.split("/")[:3])


@dataclass(frozen=True, slots=True)
class Step:
    """One page to fill in: the way there, and its fields from top to bottom, each with what to enter."""

    where: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """All there is to fill in for one client, and what to know about it."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def form(client: Client) -> Form:
    """What to enter for a client."""
    steps, notes = _FORMS.get(client.kind, _other)(client)
    if client.missing:
        notes = (*notes, f"Not set yet: {', '.join(client.missing)}.")
    return Form(steps, (*_about_the_callback(client), *notes))


def lines(filled: Form) -> Iterator[str]:
    """A form as text. A value of several lines stands at the margin, so that it can be copied as it is."""
    for step in filled.steps:
        yield f"{step.where}:"
        yield ""
        width = max(len(name) for name, _ in step.fields)
        for name, value in step.fields:
            whole = value.rstrip("\n").split("\n")
            if len(whole) == 1:
                yield f"  {name:<{width}}  {value}"
            else:
                yield f"  {name:<{width}}  all of this:"
                yield from ("", *whole, "")
        yield ""
    for note in filled.notes:
        yield f"* {note}"


_Filled = tuple[tuple[Step, ...], tuple[str, ...]]


def _cloud(client: Client) -> _Filled:
    fields = (
        ("Name", _NAME),
        ("Authorization code", 'ticked ("Refresh token" ticks itself)'),
        ("Callback URL", client.callback_url),
        ("Scopes", _cloud_scopes(client.scopes)),
    )
    where = (
        "Workspace settings > OAuth clients > Add client "
        f"({client.base_url.rstrip('/')}/{{workspace}}/workspace/settings/oauth-clients)"
    )
    return (
        Step(where, fields),
        _credentials(client, "the key", "the secret, which is shown this once"),
    ), ()


def _cloud_oauth1(client: Client) -> _Filled:
    if urls.host(client.base_url) != "bitbucket.org":
        return _other(client)
    steps, notes = _cloud(replace(client, signature_method=""))
    retired = (
        "Bitbucket Cloud has not taken OAuth 1.0a since early 2026: nobody can sign in by this KIND. Use KIND='cloud', "
        "for which the above is meant. The same consumer, with its key and secret, is an OAuth 2.0 client once it has "
        "a callback URL."
    )
    return steps, (retired, *notes)


def _data_center(client: Client) -> _Filled:
    fields = (
        ("Name", _NAME),
        ("Redirect URL", client.callback_url),
        ("Application permissions", _data_center_scopes(client.scopes)),
    )
    where = "Administration > Applications > Application links > Create link > External application > Incoming"
    needs = (
        "This takes Bitbucket Data Center 7.20 or later. An older one has OAuth 1.0a alone: KIND='data-center-oauth1'."
    )
    return (Step(where, fields), _credentials(client, "Client ID", "Client secret")), (needs,)


def _data_center_oauth1(client: Client) -> _Filled:
    link = Step(
        "Administration > Applications > Application links > Create link > Atlassian product",
        (
            ("Application URL", client.application_url),
            ("Application name", _NAME),
            ("Application type", "Generic application"),
            ("Create incoming link", "ticked; all other fields stay empty"),
        ),
    )
    incoming = Step(
        "Continue > Incoming authentication (of an existing link: Edit > Incoming authentication)",
        (
            *_consumer(client),
            ("Consumer callback URL", client.callback_url),
            ("Allow 2-legged OAuth", "not ticked"),
        ),
    )
    product = (
        'Choose "Atlassian product" although your site is none: "External application" would be OAuth 2.0. Before 7.21 '
        "there is no such choice, just a field for the application URL."
    )
    response = "Bitbucket will say that it got no response from the application URL. Use that URL all the same."
    shared = (
        "If there is no field for a shared secret, this Bitbucket takes RSA-SHA1 alone: remove SIGNATURE_METHOD, and "
        "make a pair of keys (--new-key)."
    )
    notes = (product, response, shared) if client.signature_method == "HMAC-SHA1" else (product, response)
    return (link, incoming, _credentials(client, "the consumer key", "the shared secret")), notes


def _other(client: Client) -> _Filled:
    """A kind of somebody's own: what every form asks for."""
    if client.signs_requests:
        fields = (*_consumer(client), ("Callback URL", client.callback_url))
    else:
        scopes = " ".join(client.scopes) or "those that it takes to tell who people are"
        fields = (("Callback URL", client.callback_url), ("Scopes", scopes))
    where = f"Where OAuth clients of {client.base_url} are registered"
    return (Step(where, fields), _credentials(client, "its key or id", "its secret")), ()


def _consumer(client: Client) -> tuple[tuple[str, str], ...]:
    own = f"a word of your choice, which goes into {client.variables['CLIENT_ID']} as well"
    if client.signature_method == "RSA-SHA1":
        proof = ("Public key", client.public_key or "the public half of RSA_KEY, once that can be read")
    else:
        proof = ("Shared secret", f"what {client.variables['CLIENT_SECRET']} holds")
    return ("Consumer key", client.consumer_key or own), ("Consumer name", _NAME), proof


def _credentials(client: Client, of_id: str, of_secret: str) -> Step:
    """Where they go afterwards, by what the form calls them. Who signs with a private key shares no secret."""
    names = ("CLIENT_ID",) if client.signature_method == "RSA-SHA1" else ("CLIENT_ID", "CLIENT_SECRET")
    return Step(
        "Then, in the environment of your site (or in a file that ..._FILE names)",
        tuple((client.variables[name], called) for name, called in zip(names, (of_id, of_secret), strict=False)),
    )


def _about_the_callback(client: Client) -> Iterator[str]:
    url = client.callback_url
    if url.startswith(UNKNOWN_SITE):
        yield "Say where your site is, and the callback URL is whole: --site https://shop.example.com"
    elif url.startswith("http:") and not client.allow_http and not urls.is_loopback(url):
        yield (
            "The callback URL is plain http, which makes sense for this very machine (localhost), or inside a network "
            "with ALLOW_HTTP: whoever is in between reads what comes back. Use https."
        )
    if client.site and client.site != client.application_url:
        yield "CALLBACK_URL is set, and counts instead of --site."
    yield "The callback URL is compared to the letter: enter it as it stands here."


def _cloud_scopes(scopes: tuple[str, ...]) -> str:
    boxes = ['Account: Read ("Email" ticks itself)']  # without them nobody can be told
    for scope in scopes:
        name, _, right = scope.partition(":")
        if scope not in ("account", "email"):
            known = name in _CLOUD_BOXES and right in _CLOUD_RIGHTS
            boxes.append(f"{_CLOUD_BOXES[name]}: {_CLOUD_RIGHTS[right]}" if known else scope)
    return ", ".join(boxes)


def _data_center_scopes(scopes: tuple[str, ...]) -> str:
    if not scopes:
        return "those that your site calls the API with; to sign people in, none"
    boxes = [_DATA_CENTER_BOXES.get(scope, scope) for scope in scopes if scope != "PUBLIC_REPOS"]
    return ", ".join(boxes) or 'none ticked ("View public projects and repositories" needs none)'


_FORMS: dict[str, Callable[[Client], _Filled]] = {
    "cloud": _cloud,
    "cloud-oauth1": _cloud_oauth1,
    "data-center": _data_center,
    "data-center-oauth1": _data_center_oauth1,
}
