"""Results as a table, and as a block for a report that may be made public."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator

from ... import __version__
from ...bitbucket.responses import json_object
from ...exceptions import BitbucketAuthError
from ...oauth import urls
from ..doctor.patient import Patient, about_url, get
from .cases import Result

_PUBLIC = ("bitbucket.org", "api.bitbucket.org")


def lines(patient: Patient, results: list[Result]) -> Iterator[str]:
    """The table, and below it what to paste."""
    width = max((len(result.case.name) for result in results), default=0)
    for result in results:
        case = result.case
        yield f"{result.outcome:<12} {case.name:<{width}}  {case.about}"
        yield f"{'':<12} {'':<{width}}  expected: {case.expected}; seen: {result.seen}"
        if case.question:
            yield f"{'':<12} {'':<{width}}  open question: {case.question}"
    yield ""
    yield "If something differs, or answers an open question, please tell: it holds no secrets, names or addresses."
    yield ""
    yield "```"
    yield f"django-bitbucket-auth {__version__}, Python {platform.python_version()}"
    yield f"{patient.configuration.kind}, {_place(patient)}"
    for result in results:
        yield f"{result.case.name}: {result.outcome}: {result.seen}"
    yield "```"


def _place(patient: Patient) -> str:
    host = urls.host(patient.configuration.api_url)
    if host in _PUBLIC:
        return host
    provider = patient.conversation()
    if not provider.self_hosted:
        return "somewhere else"
    try:
        told = json_object(get(provider, about_url(provider))).get("version")
    except BitbucketAuthError:
        told = None
    found = re.match(r"[\d.]{1,20}", told) if isinstance(told, str) else None
    return f"version {found[0]}" if found else "an unknown version"
