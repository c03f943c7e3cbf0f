"""Two functions as a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .base import Record, TokenStore


class FunctionTokenStore(TokenStore):
    """``load(key)`` returns a record (or its ``as_dict()``) or ``None``; ``save(key, record)`` keeps one."""

    def __init__(
        self,
        load: Callable[[str], Record | Mapping[str, Any] | None],
        save: Callable[[str, Record], bool | None],
        delete: Callable[[str], object] | None = None,
    ) -> None:
        self._load, self._save, self._delete = load, save, delete

    def load(self, key: str) -> Record | Mapping[str, Any] | None:
        return self._load(key)

    def save(self, key: str, record: Record) -> bool | None:
        return self._save(key, record)

    def delete(self, key: str) -> None:
        if self._delete is None:
            super().delete(key)
        else:
            self._delete(key)
