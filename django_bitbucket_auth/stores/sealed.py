"""Records as ciphertext, for stores that others can read."""

from __future__ import annotations

import json
import logging

from django.views.decorators.debug import sensitive_variables

from .. import crypto
from .base import Record

logger = logging.getLogger("django_bitbucket_auth")


@sensitive_variables()
def seal(purpose: str, key: str, record: Record) -> str:
    """The record as a text that opens for this purpose and key only."""
    return crypto.seal(purpose, key, json.dumps(record.as_dict()))


@sensitive_variables()
def unseal(purpose: str, key: str, sealed: object) -> Record | None:
    """The record in what ``seal`` made; ``None``, and a line in the log, for anything else."""
    try:
        if not isinstance(sealed, str):
            raise crypto.Unsealable
        return Record.from_dict(json.loads(crypto.unseal(purpose, key, sealed)))
    except (crypto.Unsealable, ValueError):
        logger.warning(
            "The token %s can't be decrypted (%s): no configured key fits, or it was altered. It counts as no token.",
            key,
            purpose,
        )
        return None
