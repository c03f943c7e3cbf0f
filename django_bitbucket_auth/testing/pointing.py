"""What a provider needs to be told, to find a simulator."""

from __future__ import annotations

from collections.abc import Mapping

from .kinds import is_oauth1
from .world import World

#: What a simulator decides, so that nothing of it may be left of what the provider pointed at before.
DECIDED = frozenset(
    ("KIND", "BASE_URL", "API_URL", "ENDPOINTS", "CLIENT_ID", "CLIENT_SECRET", "SIGNATURE_METHOD", "RSA_KEY")
)


def keys_for(simulator: World, given: Mapping[str, object] | None = None) -> dict[str, object]:
    """The keys of a provider that is pointed at ``simulator``, where those in ``given`` are set already."""
    keys: dict[str, object] = {} if simulator.kind == "cloud" else {"KIND": simulator.kind}
    keys["BASE_URL"] = simulator.url
    if not simulator.is_data_center:
        keys["API_URL"] = simulator.url
    keys |= {"CLIENT_ID": simulator.client_id, "CLIENT_SECRET": simulator.client_secret}
    usual = "RSA-SHA1" if simulator.is_data_center else "HMAC-SHA1"
    if is_oauth1(simulator.kind) and (given or {}).get("SIGNATURE_METHOD", usual) == "RSA-SHA1":
        keys["RSA_KEY"] = simulator.rsa_private_key
    return keys


def setting_for(simulator: World) -> str:
    """The same as lines of a settings module."""
    # The private key is one of this package's, and long: it goes by its name.
    told = {name: f'"{value}"' for name, value in keys_for(simulator).items()}
    imported = ""
    if "RSA_KEY" in told:
        told["RSA_KEY"] = "SIMULATOR_RSA_KEY"
        imported = "from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY\n\n"
    keys = "".join(f'    "{name}": {value},\n' for name, value in told.items())
    return f'{imported}BITBUCKET_AUTH = {{"default": {{\n{keys}}}}}\n'
