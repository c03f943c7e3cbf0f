"""Each test opens its own connections, and leaves none behind."""

from own_connections import own_connections

__all__ = ["own_connections"]
