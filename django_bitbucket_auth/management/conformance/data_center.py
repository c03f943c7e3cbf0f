"""What is expected of Bitbucket Data Center's API."""

from __future__ import annotations

from urllib.parse import urlencode

from ...bitbucket.data_center import PAGE, WHO, user_names
from ...bitbucket.responses import json_object
from ...oauth.token import Token
from ..doctor.credentials import made_up
from .cases import Case, is_data_center, is_data_center_by_oauth2
from .subject import Subject, Unknown


def open_version(subject: Subject) -> str:
    response = subject.get(WHO)
    told = "a version" if "version" in json_object(response) else f"HTTP {response.status_code}"
    return f"{told}, {'a name' if 'X-AUSERNAME' in response.headers else 'no name'}"


def made_up_token(subject: Subject) -> str:
    response = subject.get(WHO, Token(made_up()))
    if not subject.provider().is_success(response):
        return f"HTTP {response.status_code}"
    return "taken" if "X-AUSERNAME" in response.headers else "as to a stranger"


def session_cookie(subject: Subject) -> str:
    return "begun" if "Set-Cookie" in subject.get(WHO).headers else "not begun"


def name_header(subject: Subject) -> str:
    response = subject.answer(WHO, subject.somebodys_own())
    return "named" if user_names(response) else "not named"


def space_in_name(subject: Subject) -> str:
    value = subject.answer(WHO, subject.somebodys_own()).headers.get("X-AUSERNAME", "")
    found = [sign for sign in ("%20", "+", " ") if sign in value]
    if not found:
        raise Unknown("the person's name has no space")
    return repr(found[0])


def person(subject: Subject) -> str:
    """How many have the name of the person, and what tells them."""
    token = subject.somebodys_own()
    names = user_names(subject.answer(WHO, token))
    if not names:
        raise Unknown("the answer names nobody")
    query = urlencode({"filter": names[0], "limit": PAGE})
    values = json_object(subject.answer(f"{subject.provider().endpoint('user')}?{query}", token)).get("values")
    users = values if isinstance(values, list) else []
    found = [user for user in users if isinstance(user, dict) and user.get("name") in names]
    if len(found) != 1:
        return f"{len(found)} people"
    number = found[0].get("id")
    has_id = isinstance(number, int) and not isinstance(number, bool)
    kind = "NORMAL" if found[0].get("type") == "NORMAL" else "of another type"
    return f"one person, {'a number' if has_id else 'no number'}, {kind}"


CASES = (
    Case(
        name="open-version",
        about="The version, asked for by a stranger.",
        expected="a version, no name",
        ask=open_version,
        applies=is_data_center,
    ),
    Case(
        name="made-up-token",
        about="The version, asked for with a token that was made up.",
        expected="as to a stranger",
        ask=made_up_token,
        applies=is_data_center_by_oauth2,
        question="Is a refused token the same as none where anybody may ask?",
    ),
    Case(
        name="session-cookie",
        about="Whether an answer of the API begins a session.",
        expected="begun",
        ask=session_cookie,
        applies=is_data_center,
    ),
    Case(
        name="name-header",
        about="X-AUSERNAME of an answer to a person.",
        expected="named",
        ask=name_header,
        applies=is_data_center,
    ),
    Case(
        name="space-in-name",
        about="How X-AUSERNAME has the space of a name.",
        expected="'%20'",
        ask=space_in_name,
        applies=is_data_center,
        question="Percent-encoded, or as in forms?",
    ),
    Case(
        name="person",
        about="The person whose name that is, by search.",
        expected="one person, a number, NORMAL",
        ask=person,
        applies=is_data_center,
    ),
)
