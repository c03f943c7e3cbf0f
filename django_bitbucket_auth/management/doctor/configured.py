"""What is configured for a provider, fit to be shown: no secret, and of a proxy no password."""

from __future__ import annotations

from ... import kinds
from ...conf import ProviderSettings
from .patient import shown


def configured(settings: ProviderSettings) -> dict[str, str]:
    """Setting → its value in words, as far as it matters to whoever looks for a mistake."""
    told = {
        "KIND": settings.kind,
        "BASE_URL": settings.base_url,
        "API_URL": settings.api_url,
        "ENDPOINTS": ", ".join(f"{name}: {url}" for name, url in settings.endpoints.items()),
        "CLIENT_ID": _is_set(settings.client_id),
        "CLIENT_SECRET": "" if settings.signature_method == "RSA-SHA1" else _is_set(settings.client_secret),
        "SIGNATURE_METHOD": settings.signature_method,
        "SCOPES": " ".join(settings.scopes) or "all that the client has",
        "WORKSPACES": _workspaces(settings),
        "INSTANCE": settings.instance or "",
        "PROXIES": ", ".join(f"{name}: {shown(url)}" for name, url in settings.proxies.items()),
        "CA_BUNDLE": settings.ca_bundle or "",
        "CLIENT_CERT": _is_set(settings.client_cert) if settings.client_cert else "",
        "TIMEOUT": f"{settings.timeout[0]:g} s to connect, {settings.timeout[1]:g} s to read",
        "DEADLINE": f"{settings.deadline:g} s",
        "RETRIES": str(settings.retries),
    }
    return {name: value for name, value in told.items() if value}


def _workspaces(settings: ProviderSettings) -> str:
    if kinds.is_self_hosted(settings.kind):
        return ""  # it has none
    return ", ".join(settings.workspaces) or "none: everybody may come in"


def _is_set(value: object) -> str:
    return "set" if value else "not set"
