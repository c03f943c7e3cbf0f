"""Ring 2, what Bitbucket is: its addresses, its profiles, its refusals. Knows no Django."""

from .cloud import CloudOAuth1Provider, CloudProvider
from .data_center import DataCenterOAuth1Provider, DataCenterProvider
from .oauth1 import OAuth1Provider
from .profiles import Email, Profile
from .provider import Beginning, Membership, Provider
from .session import BitbucketSession

__all__ = [
    "Beginning",
    "BitbucketSession",
    "CloudOAuth1Provider",
    "CloudProvider",
    "DataCenterOAuth1Provider",
    "DataCenterProvider",
    "Email",
    "Membership",
    "OAuth1Provider",
    "Profile",
    "Provider",
]
