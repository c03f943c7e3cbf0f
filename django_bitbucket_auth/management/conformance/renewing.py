"""What is expected of a renewal. It spends a refresh token, so it is asked for by ``--refresh`` only, and last."""

from __future__ import annotations

from ..doctor.patient import about_url
from .cases import Case, is_cloud_by_oauth2, is_data_center_by_oauth2, is_oauth2
from .subject import Subject


def rotation(subject: Subject) -> str:
    before, after = subject.renewed()
    return "another" if after.refresh_token != before.refresh_token else "the same"


def replaced_token(subject: Subject) -> str:
    before, _ = subject.renewed()
    provider = subject.provider()
    return "it has ended" if provider.is_unauthorized(subject.get(about_url(provider), before)) else "it goes on"


CASES = (
    Case(
        name="rotation",
        about="The refresh token after a renewal.",
        expected="another",
        ask=rotation,
        applies=is_oauth2,
        question="Does this client's refresh token change each time?",
    ),
    Case(
        name="replaced-token",
        about="The access token that was replaced by a renewal.",
        expected="it goes on",
        ask=replaced_token,
        applies=is_cloud_by_oauth2,
    ),
    Case(
        name="replaced-token",
        about="The access token that was replaced by a renewal.",
        expected="it has ended",
        ask=replaced_token,
        applies=is_data_center_by_oauth2,
        question="Documented for its sibling products.",
    ),
)
