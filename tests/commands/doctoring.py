"""What the doctor says, for tests."""

from __future__ import annotations

import io
import json
from typing import Any

from django.core.management import CommandError, call_command
from django.test import override_settings

from django_bitbucket_auth.management.doctor.findings import Finding
from django_bitbucket_auth.management.doctor.report import report

SITE = "https://shop.example.com"
#: Fewer repeats and shorter waits than the settings' own.
QUICK: dict[str, Any] = {"RETRIES": 0, "TIMEOUT": (2, 2), "DEADLINE": 5}


def findings(alias: str = "default", site: str = SITE) -> list[Finding]:
    """What is found out about a provider."""
    made = report(alias, site, offline=False)
    assert made.wrong == []
    return made.findings


def found(alias: str = "default", site: str = SITE) -> dict[str, Finding]:
    """The same, by code; each code once."""
    listed = findings(alias, site)
    by_code = {finding.code: finding for finding in listed}
    assert len(by_code) == len(listed)
    return by_code


def data_center(url: str, **keys: Any) -> override_settings:
    given = {"KIND": "data-center", "BASE_URL": url, "CLIENT_ID": "id", "CLIENT_SECRET": "secret", **QUICK, **keys}
    return override_settings(BITBUCKET_AUTH={"default": given})


def alone(**keys: Any) -> Any:
    """The one finding: what isn't reached isn't asked any further."""
    seen = found(**keys)
    (finding,) = seen.values()
    assert finding.level == "error" and finding.next
    return finding


def levels(by_code: dict[str, Finding]) -> dict[str, str]:
    return {code: finding.level for code, finding in by_code.items()}


def printed(*arguments: str) -> tuple[str, CommandError | None]:
    """What the command prints, and how it ended."""
    out = io.StringIO()
    try:
        call_command("bitbucket_check", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), error
    return out.getvalue(), None


def as_json(*arguments: str) -> Any:
    return json.loads(printed("--json", *arguments)[0])
