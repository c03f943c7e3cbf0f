"""Where tokens are kept. Two methods make a store of your own: ``load`` and ``save``.

Importable without settings: what needs them, or another package, is imported when it is asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .base import Record, TokenStore
from .function import FunctionTokenStore

if TYPE_CHECKING:
    from .cache import CacheTokenStore
    from .database import DatabaseTokenStore
    from .file import FileTokenStore

_LAZY = {"CacheTokenStore": "cache", "DatabaseTokenStore": "database", "FileTokenStore": "file"}

__all__ = ["CacheTokenStore", "DatabaseTokenStore", "FileTokenStore", "FunctionTokenStore", "Record", "TokenStore"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
