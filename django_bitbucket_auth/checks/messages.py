"""A problem as a message of Django's checks."""

from __future__ import annotations

from django.core.checks import Error
from django.core.checks import Warning as CheckWarning

from ..validators import Problem


def as_error(problem: Problem) -> Error:
    return Error(problem.message, hint=problem.hint, id=f"bitbucket_auth.{problem.number}")


def as_warning(problem: Problem) -> CheckWarning:
    return CheckWarning(problem.message, hint=problem.hint, id=f"bitbucket_auth.{problem.number}")


def split(number: str, text: str) -> Problem:
    """A sentence that says what is wrong, and the others as the hint."""
    message, _, hint = text.partition(". ")
    return Problem(number, message.rstrip(".") + ".", hint)
