"""A simulator without a server, and somebody who talks to it."""

import pytest
from testing.conversation import Conversation

from django_bitbucket_auth.testing import BitbucketSimulator


@pytest.fixture
def simulator() -> BitbucketSimulator:
    return BitbucketSimulator()


@pytest.fixture
def talk(simulator: BitbucketSimulator) -> Conversation:
    return Conversation(simulator)
