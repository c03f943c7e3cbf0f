"""What a case is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...bitbucket import CloudProvider, DataCenterProvider, Provider
from ...exceptions import BitbucketAuthError, BitbucketUnavailable, OAuthError
from .subject import Subject, Unknown

#: ``"open"``: it could not be found out; what was seen says why.
Outcome = Literal["as expected", "differs", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that this app expects of a Bitbucket.

    ``ask`` returns what was seen, in a few words that hold nothing of anybody's; ``Unknown`` from it says why nothing
    was. ``question``: what of the documentation is open, so that an answer is worth telling.
    """

    name: str
    about: str
    expected: str
    ask: Callable[[Subject], str]
    applies: Callable[[Provider], bool]
    question: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    case: Case
    outcome: Outcome
    seen: str

    def as_dict(self) -> dict[str, str]:
        """Its members, for JSON."""
        case = self.case
        return {
            "case": case.name,
            "about": case.about,
            "question": case.question,
            "expected": case.expected,
            "seen": self.seen,
            "outcome": self.outcome,
        }


def result_of(case: Case, subject: Subject) -> Result:
    """Ask, and compare. Never raises: what fails is open."""
    try:
        seen = case.ask(subject)
    except Unknown as unknown:
        return Result(case, "open", subject.scrubbed(str(unknown)))
    except BitbucketAuthError as error:
        return Result(case, "open", subject.scrubbed(words(error)))
    except Exception as error:  # a KIND of somebody's own can fail in any way
        # The class alone: its text can hold what was sent.
        return Result(case, "open", f"it failed: {type(error).__name__}")
    return Result(case, "as expected" if seen == case.expected else "differs", subject.scrubbed(seen))


def words(error: BitbucketAuthError) -> str:
    """An error in a few words, without descriptions, which may name people or clients."""
    if isinstance(error, OAuthError):
        return f"{error.error[:60]}{'' if error.status is None else f' (HTTP {error.status})'}"
    if isinstance(error, BitbucketUnavailable) and error.status is not None:
        return f"no answer (HTTP {error.status})"
    return f"no answer ({type(error).__name__})"


def is_oauth2(provider: Provider) -> bool:
    return not provider.signs_requests


def is_signed(provider: Provider) -> bool:
    return provider.signs_requests


def is_cloud(provider: Provider) -> bool:
    return isinstance(provider, CloudProvider)


def is_cloud_by_oauth2(provider: Provider) -> bool:
    return is_cloud(provider) and is_oauth2(provider)


def is_cloud_by_oauth1(provider: Provider) -> bool:
    return is_cloud(provider) and is_signed(provider)


def is_data_center(provider: Provider) -> bool:
    return isinstance(provider, DataCenterProvider)


def is_data_center_by_oauth2(provider: Provider) -> bool:
    return is_data_center(provider) and is_oauth2(provider)


def is_data_center_by_oauth1(provider: Provider) -> bool:
    return is_data_center(provider) and is_signed(provider)
