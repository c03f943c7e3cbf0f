"""Ring 2, what Bitbucket is: its addresses, its profiles, its refusals. Knows no Django."""

from .cloud import CloudProvider
from .profiles import Email, Profile
from .provider import Membership, Provider
from .session import BitbucketSession

__all__ = ["BitbucketSession", "CloudProvider", "Email", "Membership", "Profile", "Provider"]
