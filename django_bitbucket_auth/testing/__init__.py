"""What a project needs to test against Bitbucket without Bitbucket.

Everything here is imported on first use: the pytest plugin lives in this package, and loading it
must cost a test run that never signs anybody in nothing (no settings, no requests, no oauthlib).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .browsing import LoginImpossible, log_in
    from .client import SIMULATOR_CLIENT_ID, SIMULATOR_CLIENT_SECRET, RegisteredClient
    from .faults import Fault
    from .keys import SIMULATOR_RSA_KEY, SIMULATOR_RSA_PUBLIC_KEY
    from .logs import LoggedRequest
    from .messages import Answer, SimulatorRequest
    from .overriding import override_provider, simulated_bitbucket
    from .people import (
        Email,
        Person,
        Repository,
        Workspace,
        default_people,
        default_workspaces,
        people_with_confusing_names,
    )
    from .rules import Rules
    from .simulator import BitbucketSimulator

_HOMES = {
    "Answer": "messages",
    "BitbucketSimulator": "simulator",
    "Email": "people",
    "Fault": "faults",
    "LoggedRequest": "logs",
    "LoginImpossible": "browsing",
    "Person": "people",
    "RegisteredClient": "client",
    "Repository": "people",
    "Rules": "rules",
    "SIMULATOR_CLIENT_ID": "client",
    "SIMULATOR_CLIENT_SECRET": "client",
    "SIMULATOR_RSA_KEY": "keys",
    "SIMULATOR_RSA_PUBLIC_KEY": "keys",
    "SimulatorRequest": "messages",
    "Workspace": "people",
    "default_people": "people",
    "default_workspaces": "people",
    "log_in": "browsing",
    "override_provider": "overriding",
    "people_with_confusing_names": "people",
    "simulated_bitbucket": "overriding",
}

__all__ = [  # noqa: RUF022 - in the order a reader wants them
    "simulated_bitbucket",
    "override_provider",
    "log_in",
    "LoginImpossible",
    "BitbucketSimulator",
    "Person",
    "Email",
    "Workspace",
    "Repository",
    "default_people",
    "default_workspaces",
    "people_with_confusing_names",
    "Rules",
    "RegisteredClient",
    "SIMULATOR_CLIENT_ID",
    "SIMULATOR_CLIENT_SECRET",
    "SIMULATOR_RSA_KEY",
    "SIMULATOR_RSA_PUBLIC_KEY",
    "Fault",
    "LoggedRequest",
    "SimulatorRequest",
    "Answer",
]


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562); AttributeError for anything else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
