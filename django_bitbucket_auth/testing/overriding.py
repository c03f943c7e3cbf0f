"""Context managers that point a provider somewhere else. They work as decorators, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test.utils import override_settings

from .people import Person
from .pointing import DECIDED, keys_for
from .simulator import BitbucketSimulator


@contextmanager
def override_provider(alias: str, **keys: object) -> Iterator[None]:
    """Within the block, these keys of ``BITBUCKET_AUTH[alias]`` have these values; all others stay.

    Works without the setting, too: then there is the one provider ``default``, as the app has it.
    """
    providers = _configured()
    providers[alias] = {**providers.get(alias, {}), **keys}
    with override_settings(BITBUCKET_AUTH=providers):
        yield


@contextmanager
def simulated_bitbucket(
    alias: str = "default",
    *,
    kind: str = "cloud",
    people: Iterable[Person] | None = None,
    port: int = 0,
    context_path: str = "",
    **provider_keys: object,
) -> Iterator[BitbucketSimulator]:
    """A running simulator with the provider ``alias`` pointed at it, for the length of the block.

    ``kind`` and ``context_path``: see `BitbucketSimulator`. ``people`` replaces the four everybody starts with;
    ``provider_keys`` go to `override_provider`.
    """
    simulator = BitbucketSimulator(kind, people=people, context_path=context_path)
    with simulator.serving(port), pointed_at(simulator, alias, **provider_keys):
        yield simulator


@contextmanager
def pointed_at(simulator: BitbucketSimulator, alias: str = "default", **provider_keys: object) -> Iterator[None]:
    """Point the provider ``alias`` at a simulator that runs already."""
    providers = _configured()
    kept = {key: value for key, value in providers.get(alias, {}).items() if key not in DECIDED}
    providers[alias] = {**kept, **keys_for(simulator, provider_keys), **provider_keys}
    with override_settings(BITBUCKET_AUTH=providers):
        yield


def _configured() -> dict[str, dict[str, object]]:
    """A copy of the setting."""
    configured = getattr(settings, "BITBUCKET_AUTH", None)
    return {"default": {}} if configured is None else dict(configured)
