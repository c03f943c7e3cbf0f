"""A simulator without a server, and somebody who talks to it."""

import pytest
from testing.conversation import Conversation, DataCenterConversation

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture
def simulator() -> BitbucketSimulator:
    return BitbucketSimulator()


@pytest.fixture
def talk(simulator: BitbucketSimulator) -> Conversation:
    return Conversation(simulator)


@pytest.fixture
def data_center() -> DataCenterConversation:
    """A talk with a Data Center under ``/bitbucket``; its simulator is ``data_center.simulator``."""
    return DataCenterConversation(BitbucketSimulator("data-center", context_path="/bitbucket"))
