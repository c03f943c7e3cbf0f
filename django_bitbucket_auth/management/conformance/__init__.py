"""Does a Bitbucket behave as this app expects? The simulator satisfies the cases, and real ones are asked.

Only what changes nothing: GETs, and requests for tokens that come to nothing or lapse by themselves. Nothing is
revoked, and no refresh token is spent unless that is asked for.
"""

from .comparing import NotAsked, compare
from .showing import lines

__all__ = ["NotAsked", "compare", "lines"]
