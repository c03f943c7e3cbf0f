"""The column of a ciphertext."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from . import crypto

if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField


class SealedField(_TextField):
    """Holds only what ``crypto.seal`` made (or nothing): a plaintext never reaches the database by an oversight.

    The attribute is the ciphertext too, so ``dumpdata``, pickled querysets and serialisers have nothing to leak.
    """

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        if isinstance(value, str) and value and not value.startswith(crypto.PREFIX):
            raise ValueError(f"{self.name} takes a sealed text only")
        return value
