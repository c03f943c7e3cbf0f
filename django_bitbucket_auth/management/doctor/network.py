"""Is Bitbucket reached, by whatever is in between? What is its version, and is its clock ours?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import requests

from ...bitbucket import DataCenterProvider, Provider
from ...bitbucket.responses import json_object
from ...exceptions import BitbucketTimeout, BitbucketUnavailable
from ...oauth import obstacles, urls
from ...oauth.reading import Deadline
from . import remedies
from .findings import Finding, Level
from .patient import Patient, about_url, get, shown, token_url

#: Seconds by which clocks may differ: an answer's date is cut to the second, and it was on its way.
CLOCK = 30
#: With OAuth 1.0a, beyond this Bitbucket refuses what we sign (five minutes, Atlassian's library).
SIGNED_CLOCK = 270
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


def reached(patient: Patient) -> Iterator[Finding]:
    """Ask each host that our server talks to for something that anybody may ask."""
    provider = patient.conversation()
    about, token = about_url(provider), token_url(provider)
    places = [about] if urls.origin(about) == urls.origin(token) else [about, token]
    for url in places:
        try:
            response = get(patient.conversation(), url)
        except BitbucketUnavailable as error:
            yield _obstacle(provider, url, error)
            continue
        patient.first = patient.first or response
        if url == about:
            patient.about = response
        yield _answer(provider, url, response, is_api=url == about)


def clock(patient: Patient) -> Iterator[Finding]:
    """By how much Bitbucket's clock and ours differ."""
    if patient.first is None:
        return
    try:
        date = parsedate_to_datetime(patient.first.headers.get("Date", ""))
        off = round(time.time() - (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        yield Finding("note", "clock_unknown", "Bitbucket's answer has no date to compare our clock with.")
        return
    if abs(off) <= CLOCK:
        yield Finding("ok", "clock", f"Our clock and Bitbucket's differ by {abs(off)} s.")
        return
    signed = patient.conversation().signs_requests
    seen = f"Our clock is {abs(off)} s {'ahead of' if off > 0 else 'behind'} Bitbucket's."
    why = (
        "With OAuth 1.0a each request has a time in it, and Bitbucket refuses what is minutes off."
        if signed
        else "OAuth 2.0 bears it, but JWTs of Connect apps, and hosts of yours that differ among themselves, don't."
    )
    level: Level = "error" if signed and abs(off) > SIGNED_CLOCK else "warning"
    yield Finding(level, "clock_off", seen, f"Set the clock of this host by NTP. {why}")


def version(patient: Patient) -> Iterator[Finding]:
    """Data Center's version, and whether it has the protocol that is asked of it."""
    provider = patient.conversation()
    if patient.about is None or not isinstance(provider, DataCenterProvider):
        return
    body = json_object(patient.about)
    if not body:
        return  # `reached` has told what came instead
    told, name = _text(body.get("version")), _text(body.get("displayName"))
    found = _VERSION.match(told)
    if found is None:
        yield Finding("note", "version_unknown", "This Bitbucket doesn't say which version it is.")
        return
    if name and name != "Bitbucket":
        yield Finding(
            "error", "not_bitbucket", f"{shown(patient.about.url)} says that it is {name!r}.", remedies.BASE_URL
        )
        return
    if (int(found[1]), int(found[2])) >= (7, 20):
        yield Finding("ok", "version", f"Bitbucket Data Center {told}.")
    elif provider.signs_requests:
        yield Finding("ok", "version", f"Bitbucket Data Center {told}, which has OAuth 1.0a alone.")
    else:
        yield Finding("error", "version_too_old", f"Bitbucket Data Center {told} has no OAuth 2.0.", remedies.OLD)


def _answer(provider: Provider, url: str, response: requests.Response, *, is_api: bool) -> Finding:
    """What an answer to a stranger says about who gave it."""
    place, status = shown(url), response.status_code
    way = _way(provider, url)
    if status == 407:
        return Finding("error", "proxy_credentials", f"{way} wants a name and a password.", remedies.PROXY_CREDENTIALS)
    if status == 429:
        return Finding("warning", "rate_limited", f"{place} answers that the rate limit is reached.", remedies.LIMIT)
    if status >= 500:
        return Finding("warning", "unavailable", f"{place} answers HTTP {status}.", remedies.LATER)
    if is_api and 300 <= status < 400:
        there = shown(_joined(url, response.headers.get("Location", "")))
        seen = f"{place} answers the API's address with a redirect to {there}."
        return Finding("error", "redirected", seen, remedies.BASE_URL)
    # Cloud refuses a stranger, and need not do so in JSON.
    refused = status == 401 and not provider.self_hosted
    if is_api and not (refused or json_object(response)):
        seen = f"{place} answers the API's address with HTTP {status}, and no JSON."
        return Finding("error", "not_bitbucket", seen, remedies.BASE_URL)
    if is_api and status in (404, 410):
        return Finding(
            "error",
            "wrong_address",
            f"{place} has no API at {urlsplit(url).path} (HTTP {status}).",
            "API_URL is the API's root without its version; remove ENDPOINTS where you don't need it.",
        )
    by = f", by {way[0].lower()}{way[1:]}" if way else ""
    return Finding("ok", "reached", f"{place} answers{by}.")


def _way(provider: Provider, url: str) -> str:
    proxy = obstacles.proxy_for(url, provider.network)
    return f"The proxy {shown(proxy)}" if proxy else ""


def _obstacle(provider: Provider, url: str, error: BitbucketUnavailable) -> Finding:
    try:
        found = obstacles.find(url, provider.network, Deadline(provider.configuration.deadline))
    except BitbucketTimeout:
        found = None
    if found is not None:
        return remedies.of(found, shown(url))
    if isinstance(error, BitbucketTimeout):
        return Finding("error", "timed_out", f"It takes connections, but: {error}.", remedies.SLOW)
    return Finding("error", "unreached", f"{error}.", remedies.UNREACHED)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _text(value: object) -> str:
    return "".join(filter(str.isprintable, value))[:40] if isinstance(value, str) else ""
