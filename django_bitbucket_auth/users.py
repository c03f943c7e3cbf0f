"""The user model's side: names, addresses, and which fields a sign-in fills."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Q

from .bitbucket import Profile
from .exceptions import ConfigurationError
from .oauth import urls

if TYPE_CHECKING:
    # The type checkers' name for whatever AUTH_USER_MODEL is.
    from django.contrib.auth.models import User

#: How many names are tried for one person: "jane", "jane-2", … "jane-20".
MOST_NAMES = 20
#: User field → member of the profile.
_SOURCES = {"first_name": "given_name", "last_name": "family_name", "email": "email"}


def model() -> type[User]:
    """The project's user model."""
    return get_user_model()


def email_field() -> str | None:
    """The name of the user model's e-mail field, if it has one."""
    name = model().get_email_field_name()
    return name if _field(name) else None


def named_by_email() -> bool:
    """Whether people's user name is their e-mail address, which isn't ours to choose."""
    return email_field() == model().USERNAME_FIELD


def values_for(profile: Profile) -> dict[str, str]:
    """The user fields that a profile can fill, cut to their columns.

    Blanks are left out, and what a field's validators refuse: Bitbucket has addresses that Django has not.
    """
    values = {}
    for name, source in _SOURCES.items():
        field = _field(model().get_email_field_name() if name == "email" else name)
        value = getattr(profile, source) or ""
        if field and value:
            value = value if name == "email" else value[: _length(field)]
            if _is_valid(field, value):
                values[field.name] = value
    return values


def suggest_name(profile: Profile) -> str:
    """A user name of plain ASCII from what people call this person, or from the id.

    ASCII, because names that look alike or that a collation takes for equal ("ádmin") would pass for one another.
    """
    for wish in (profile.username, profile.nickname, profile.display_name):
        plain = unicodedata.normalize("NFKD", wish).encode("ascii", "ignore").decode()
        if name := re.sub(r"[^\w.+-]+", "-", plain).strip("-.")[:100]:
            return name
    return f"bitbucket-{re.sub(r'[^0-9a-z]', '', profile.uid)[:8]}"


def candidates(name: str) -> list[str]:
    """The names to try, in order, each short enough for its column."""
    length = _length(_field(model().USERNAME_FIELD))
    suffixes = ["", *(f"-{number}" for number in range(2, MOST_NAMES + 1))]
    return [name[: length - len(suffix)] + suffix for suffix in suffixes]


def taken(names: list[str], email: str, database: str) -> tuple[set[str], bool]:
    """Which of the names are somebody's (casefolded), and whether the address is; in one query.

    ``iexact`` finds candidates, whatever the collation takes for equal; Python compares.
    """
    username_field, address_field = model().USERNAME_FIELD, email_field()
    query = Q()
    for name in names:
        query |= Q(**{f"{username_field}__iexact": name})
    if email and address_field:
        query |= same_address(email)
    fields = [username_field, address_field or username_field]
    rows = list(model()._base_manager.using(database).filter(query).values_list(*fields))
    found = {str(name).casefold() for name, _ in rows}
    return found, bool(email) and any(fold_address(str(address)) == fold_address(email) for _, address in rows)


def is_name(name: str, database: str) -> bool:
    """Whether the name is somebody's for the database, whose collation may be blind to accents."""
    return model()._base_manager.using(database).filter(**{f"{model().USERNAME_FIELD}__iexact": name}).exists()


def same_address(email: str) -> Q:
    """Users whose address might be this one, as given or in NFKC: to be compared with ``fold_address``."""
    name = email_field()
    return Q(**{f"{name}__iexact": email}) | Q(**{f"{name}__iexact": unicodedata.normalize("NFKC", email)})


def fold_address(email: str) -> str:
    """The form under which two addresses are one for this app."""
    return unicodedata.normalize("NFKC", email).casefold()


def is_same_mailbox(one: str, other: str) -> bool:
    """Whether mail to two addresses surely gets to one person.

    Narrower than ``fold_address``, by which others are found that are not to be joined: "faß.de" folds to "fass.de",
    which is another domain (IDNA 2008), and a local part is its host's to compare (RFC 5321, 2.3.11). ASCII case alone
    is no difference.
    """
    (local, _, domain), (other_local, _, other_domain) = one.rpartition("@"), other.rpartition("@")
    return _lower(local) == _lower(other_local) and _domain(domain) == _domain(other_domain)


def _lower(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _domain(name: str) -> str:
    try:
        return urls.host(f"https://{name}")
    except ValueError:
        return _lower(name)


def address_of(user: User) -> str:
    """A user's address, folded."""
    return fold_address(str(getattr(user, email_field() or "", "")))


def updatable(names: tuple[str, ...]) -> set[str]:
    """The fields of the user model that ``UPDATE_USERS`` means; never the one that people sign in with."""
    fields = {email_field() if name == "email" else name for name in names}
    return {name for name in fields if name} - {model().USERNAME_FIELD}


def build(fields: dict[str, Any]) -> User:
    """An unsaved user with these fields and no usable password.

    Raises:
        ConfigurationError: the user model wants fields that a profile doesn't have.
    """
    user = model()(**fields)
    user.set_unusable_password()
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise ConfigurationError(
            f"The user model doesn't take what a Bitbucket profile gives ({error.message_dict}). "
            "Override create_user() or username_for() of BitbucketBackend, and name your class in "
            "AUTHENTICATION_BACKENDS."
        ) from None
    return user


def _field(name: str) -> Field[Any, Any] | None:
    try:
        found = model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if isinstance(found, Field) and found.concrete else None


def _is_valid(field: Field[Any, Any], value: str) -> bool:
    try:
        field.run_validators(value)
    except ValidationError:
        return False
    return True


def _length(field: Field[Any, Any] | None) -> int:
    return getattr(field, "max_length", None) or 150
