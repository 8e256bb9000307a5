"""core, all of it: the engine and the reckoning from the rules alone are told the same random stories of every command,
rate and profile. Every event, every refusal and the whole state are the same after each command.
"""

import pytest

from tests.reference import lockstep
from tests.reference.engine_peer import EnginePeer, ReopenedPeer

LENGTH = 60


@pytest.mark.parametrize("seed", range(20))
def test_the_engine_does_what_the_rules_say(seed: int) -> None:
    lockstep.run(seed, LENGTH, EnginePeer)


@pytest.mark.parametrize("seed", range(100, 112))
def test_an_engine_that_is_restored_again_and_again_does_the_same_and_its_records_lead_to_its_state(seed: int) -> None:
    lockstep.run(seed, LENGTH, ReopenedPeer)
