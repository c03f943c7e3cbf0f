"""Who is connected, and with which tokens, to be looked at.

An identity is what Bitbucket proved: nobody enters or changes one here. No page shows a token or its ciphertext. Every
page costs the same number of queries, each on an index, whether there are ten accounts or millions.
"""

from .accounts import BitbucketAccountAdmin
from .tokens import BitbucketTokenAdmin

__all__ = ["BitbucketAccountAdmin", "BitbucketTokenAdmin"]
