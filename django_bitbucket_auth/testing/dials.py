"""The simulator's own pages under ``/_simulator/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pages
from .messages import Answer, SimulatorRequest

if TYPE_CHECKING:
    from .simulator import BitbucketSimulator


class Dials:
    """The index."""

    def __init__(self, simulator: BitbucketSimulator) -> None:
        self.simulator = simulator

    def answer(self, request: SimulatorRequest, segments: list[str]) -> Answer:
        return pages.page(200, "Simulator", "<h1>Simulator</h1>", wide=True)
