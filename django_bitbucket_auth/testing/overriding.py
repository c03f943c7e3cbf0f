"""Context managers that point a provider somewhere else. They work as decorators, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test.utils import override_settings

from .people import Person
from .simulator import BitbucketSimulator


@contextmanager
def override_provider(alias: str, **keys: object) -> Iterator[None]:
    """Within the block, these keys of ``BITBUCKET_AUTH[alias]`` have these values; all others stay.

    Works without the setting, too: then there is the one provider ``default``, as the app has it.
    """
    configured = getattr(settings, "BITBUCKET_AUTH", None)
    providers = {"default": {}} if configured is None else dict(configured)
    providers[alias] = {**providers.get(alias, {}), **keys}
    with override_settings(BITBUCKET_AUTH=providers):
        yield


@contextmanager
def simulated_bitbucket(
    alias: str = "default",
    *,
    people: Iterable[Person] | None = None,
    port: int = 0,
    **provider_keys: object,
) -> Iterator[BitbucketSimulator]:
    """A running simulator with the provider ``alias`` pointed at it, for the length of the block.

    ``people`` replaces the four everybody starts with; ``provider_keys`` go to `override_provider`.
    """
    simulator = BitbucketSimulator(people=people)
    with simulator.serving(port), pointed_at(simulator, alias, **provider_keys):
        yield simulator


@contextmanager
def pointed_at(simulator: BitbucketSimulator, alias: str = "default", **provider_keys: object) -> Iterator[None]:
    """Point the provider ``alias`` at a simulator that runs already."""
    keys: dict[str, object] = {
        "BASE_URL": simulator.url,
        "API_URL": simulator.url,
        "CLIENT_ID": simulator.client_id,
        "CLIENT_SECRET": simulator.client_secret,
    }
    with override_provider(alias, **{**keys, **provider_keys}):
        yield
