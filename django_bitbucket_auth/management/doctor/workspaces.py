"""The workspaces of ``WORKSPACES`` and ``GROUPS``: the uuid of each, which stays when its slug changes hands."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from ...bitbucket import CloudProvider
from ...bitbucket.responses import json_object
from ...exceptions import BitbucketAuthError
from . import remedies
from .findings import Finding
from .patient import Patient, get


def named(patient: Patient) -> Iterator[Finding]:
    """What Bitbucket knows each by."""
    asked = patient.configuration.asked_workspaces
    if isinstance(patient.conversation(), CloudProvider):
        for workspace in asked:
            yield _of(patient, workspace)


def _of(patient: Patient, workspace: str) -> Finding:
    provider = patient.conversation()
    root = patient.configuration.api_url.rstrip("/")
    url = f"{root}/2.0/workspaces/{quote(workspace, safe='')}"
    try:
        # A public one answers anybody.
        response = get(provider, url, patient.application)
    except BitbucketAuthError as error:
        return Finding("warning", "workspace_unknown", f"{workspace} could not be asked for: {error}.", remedies.LATER)
    if response.status_code == 404:
        return Finding(
            "error",
            "workspace_missing",
            f"Bitbucket has no workspace {workspace}, or none that this client may see: nobody is a member of it.",
            "Correct it in WORKSPACES or GROUPS. If it is right, ask for its uuid as one of its members: "
            "see “Limit sign-in to a workspace” in the documentation.",
        )
    body = json_object(response)
    uuid, slug = (value if isinstance(value, str) else "" for value in (body.get("uuid"), body.get("slug")))
    if not provider.is_success(response) or not (_plain(uuid) and uuid.startswith("{")):
        return Finding(
            "note",
            "workspace_unknown",
            f"What {workspace} is can't be asked without a person (HTTP {response.status_code}).",
            "Ask as one of its members: see “Limit sign-in to a workspace” in the documentation.",
        )
    if workspace.startswith("{"):
        if uuid.lower() == workspace.lower():
            return Finding("ok", "workspace", f"{workspace} is the workspace {slug if _plain(slug) else '?'}.")
        return Finding(
            "error", "not_bitbucket", f"Asked for {workspace}, Bitbucket told of another workspace.", remedies.BASE_URL
        )
    return Finding(
        "warning",
        "workspace_slug",
        f"{workspace} is {uuid}. A slug can be renamed, and whoever takes it over decides who is a member.",
        f"Put “{uuid}” into WORKSPACES or GROUPS in place of “{workspace}”.",
    )


def _plain(text: str) -> bool:
    return text.isprintable() and 0 < len(text) <= 100
