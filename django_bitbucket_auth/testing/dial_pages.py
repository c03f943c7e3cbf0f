"""The page with the dials."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, get_args

from . import pages
from .faults import ENDPOINTS
from .kinds import is_oauth1
from .messages import Answer
from .people import Person, Role
from .rules import Rules

if TYPE_CHECKING:
    from .simulator import BitbucketSimulator

_TROUBLES = {
    "503": "503, a page of HTML",
    "500": "500, a page of HTML",
    "429": "429, too many requests (seconds: Retry-After)",
    "slow": "late (seconds)",
    "drip": "byte by byte (seconds between them)",
    "cut": "hang up without an answer",
    "cut-middle": "hang up amid the answer",
}
_SHOWN = 25
_CLOUD_NAMES = {"display_name": "Name", "username": "User name", "nickname": "Nickname"}
_DATA_CENTER_NAMES = {"display_name": "Name", "dc_name": "User name"}


def index(simulator: BitbucketSimulator) -> Answer:
    """All dials, how they stand, and the last requests."""
    content = "".join(
        (
            "<h1>Simulated Bitbucket</h1>",
            _credentials(simulator),
            _people(simulator),
            _repositories(simulator),
            _faults(simulator),
            _clock(simulator),
            _rules(simulator),
            _requests(simulator),
            f"<h2>From the start</h2>{_form('reset', '<button>Reset everything</button>')}",
        )
    )
    return pages.page(200, "Simulated Bitbucket", content, wide=True)


def _credentials(simulator: BitbucketSimulator) -> str:
    words = ("Consumer key", "Shared secret") if is_oauth1(simulator.kind) else ("Client id", "Client secret")
    return (
        f"<p>It plays: <code>{simulator.kind}</code><br>"
        f"Address of site and API: <code>{escape(simulator.url)}</code><br>"
        f"{words[0]}: <code>{escape(simulator.client_id)}</code><br>"
        f"{words[1]}: <code>{escape(simulator.client_secret)}</code>"
        f"{'<br>Private key: <code>SIMULATOR_RSA_KEY</code>' if is_oauth1(simulator.kind) else ''}</p>"
    )


def _people(simulator: BitbucketSimulator) -> str:
    rows = "".join(_person(simulator, person) for person in simulator.people.values())
    return (
        "<h2>People</h2><div class=scroll><table class=stack><thead><tr><th>Who</th><th>Workspaces</th>"
        f"<th>Names</th><th>Account and tokens</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _person(simulator: BitbucketSimulator, person: Person) -> str:
    key = _hidden("person", person.key)
    emails = "<br>".join(
        escape(email.address) + ("" if email.is_confirmed else " (unconfirmed)") for email in person.emails
    )
    leaving = "".join(
        _form(
            "leave",
            f"{key}{_hidden('workspace', slug)}{escape(slug)}: {role} <button>Leave</button>",
        )
        for slug, role in person.workspaces.items()
    )
    joining = _form(
        "join",
        key
        + _select("workspace", {slug: slug for slug in simulator.workspaces})
        + _select("role", {role: role for role in get_args(Role)}, "member")
        + "<button>Join</button>",
    )
    known_by = _DATA_CENTER_NAMES if simulator.is_data_center else _CLOUD_NAMES
    names = "".join(
        f"<label>{label}<input name={name} placeholder='{escape(getattr(person, name))}'></label>"
        for name, label in known_by.items()
    )
    account = "deactivate" if person.active else "reactivate"
    turns = "".join(
        _form(dial, f"{key}<button>{label}</button>")
        for dial, label in (
            (account, account.title()),
            ("revoke", "Revoke the grant"),
            ("rotate", "Use up refresh tokens"),
            ("expire", "Expire access tokens"),
        )
    )
    return (
        f"<tr><td><b>{escape(person.display_name)}</b><br><small>{escape(person.key)}: "
        f"{escape(person.note or 'added')}</small><br><small>{emails}</small></td>"
        f"<td>{leaving}{joining}</td><td>{_form('rename', f'{key}{names}<button>Rename</button>')}"
        f"</td><td>{turns}</td></tr>"
    )


def _repositories(simulator: BitbucketSimulator) -> str:
    names = ", ".join(
        escape(f"{one.workspace}/{one.slug}") + (" (private)" if one.is_private else "")
        for one in simulator.repositories
    )
    return f"<h2>Repositories</h2><p>{names or 'none'}</p>"


def _faults(simulator: BitbucketSimulator) -> str:
    standing = "".join(f"<li>{escape(str(fault))}</li>" for fault in simulator.faults)
    setting = _form(
        "fault",
        f"<label>Endpoint{_select('endpoint', {name: name for name in (*ENDPOINTS, '*')})}</label>"
        f"<label>Trouble{_select('trouble', _TROUBLES)}</label>"
        "<label>Seconds<input name=seconds type=number step=any min=0></label>"
        "<label>How often (empty: always)<input name=times type=number min=1></label>"
        "<button>Set</button>",
    )
    healing = _form("heal", "<button>Heal everything</button>")
    return f"<h2>Faults</h2><ul>{standing or '<li>none</li>'}</ul>{setting}{healing}"


def _clock(simulator: BitbucketSimulator) -> str:
    now = datetime.fromtimestamp(simulator.now(), UTC)
    moving = _form(
        "clock",
        "<label>Hours<input name=hours type=number step=any required value=2></label>"
        "<button>Move the clock on</button>",
    )
    return f"<h2>Clock</h2><p>{now:%Y-%m-%d %H:%M:%S} UTC</p>{moving}"


def _rules(simulator: BitbucketSimulator) -> str:
    inputs = []
    for rule in Rules.of(simulator.kind):
        value, label = getattr(simulator.rules, rule.name), rule.name.replace("_", " ")
        if isinstance(value, bool):
            checked = " checked" if value else ""
            field = f"<input type=checkbox name={rule.name}{checked}>"
        else:
            field = f"<input name={rule.name} value='{escape(str(value))}' required>"
        inputs.append(f"<label>{label}{field}</label>")
    older = "" if simulator.is_data_center else _form("rules-older", "<button>Rules before 2026</button>")
    return (
        f"<h2>Rules</h2>{_form('rules', ''.join(inputs) + '<button>Apply</button>')}"
        f"{older}{_form('rules-today', '<button>Rules of today</button>')}"
    )


def _requests(simulator: BitbucketSimulator) -> str:
    rows = "".join(
        f"<tr><td>{escape(logged.method)} {escape(logged.path)}</td><td>{logged.status}</td>"
        f"<td>{escape(logged.person or '')}</td></tr>"
        for logged in reversed(simulator.requests[-_SHOWN:])
    )
    return (
        f"<h2>Requests</h2><p>{len(simulator.requests)} requests, {simulator.connections} "
        "connections.</p><div class=scroll><table><thead><tr><th>Request</th><th>Answer</th>"
        f"<th>Person</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _form(dial: str, content: str) -> str:
    hidden = _hidden("dial", dial)
    return f'<form class="row" method="post" action="./">{hidden}{content}</form>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _select(name: str, options: dict[str, str], chosen: str = "") -> str:
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(label)}</option>'
        for value, label in options.items()
    )
    return f'<select name="{name}" aria-label="{name}">{items}</select>'
