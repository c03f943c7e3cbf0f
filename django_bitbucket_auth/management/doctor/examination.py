"""All that is looked at, in the order in which one thing stands on another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ...exceptions import BitbucketAuthError
from . import credentials, network, project, scopes, workspaces
from .findings import Finding
from .patient import Patient

_Look = Callable[[Patient], Iterator[Finding]]
#: What is asked of whoever answers, once somebody does.
_LOOKS: tuple[_Look, ...] = (
    network.clock,
    network.version,
    credentials.proved,
    credentials.application,
    scopes.granted,
    workspaces.named,
)


def examine(patient: Patient) -> list[Finding]:
    """What there is to say of one provider. Never raises: what fails is a finding."""
    found = _seen(network.reached, patient)
    if all(finding.level != "error" for finding in found):
        for look in _LOOKS:
            found += _seen(look, patient)
    return found


def project_findings() -> list[Finding]:
    """What there is to say of the project as a whole."""
    return [*project.checked(), *project.keys()]


def _seen(look: _Look, patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(look(patient))
    except BitbucketAuthError as error:
        found.append(Finding("error", "failed", f"{error}.", "Correct what it says, and run this again."))
    except Exception as error:  # a KIND of somebody's own can fail in any way
        # The class alone: its text can hold what was sent.
        kind, where = patient.configuration.kind, f"{look.__module__.rpartition('.')[2]}.{look.__name__}"
        found.append(
            Finding(
                "error",
                "failed",
                f"{type(error).__name__} in {where}, with KIND {kind!r}.",
                "If the KIND is your own, see what its methods raise: this app's exceptions are expected of them.",
            )
        )
    return [replace(finding, seen=patient.scrubbed(finding.seen)) for finding in found]
