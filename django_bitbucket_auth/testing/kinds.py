"""Which Bitbucket is played, and by which protocol its one client is registered."""

from __future__ import annotations

from typing import Literal, get_args

#: Cloud or Data Center; the ending says that the client is registered for OAuth 1.0a.
Kind = Literal["cloud", "cloud-oauth1", "data-center", "data-center-oauth1"]

KINDS: tuple[Kind, ...] = get_args(Kind)


def kind_named(text: str) -> Kind:
    """``text`` as a kind; ``ValueError`` that names those there are."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise ValueError(f"No kind {text!r}, but: {', '.join(KINDS)}")


def is_data_center(kind: str) -> bool:
    return kind.startswith("data-center")


def is_oauth1(kind: str) -> bool:
    return kind.endswith("-oauth1")


def context_path_for(kind: str, text: str) -> str:
    """Where everything of this Bitbucket lies: ``""`` or ``"/bitbucket"``, without a slash at its end.

    ``ValueError`` for what is no plain path, and for any on Cloud, which has a host of its own.
    """
    path = "".join(f"/{part}" for part in text.split("/") if part)
    if not all(part.replace("-", "").replace("_", "").isalnum() and part.isascii() for part in path.split("/")[1:]):
        raise ValueError(f"{text!r} is no context path: letters, digits, hyphens and slashes only")
    if path and not is_data_center(kind):
        raise ValueError("A context path is for a Data Center: Cloud has none")
    return path
