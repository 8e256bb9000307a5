"""The scenes, in the order they are told."""

from tests.transcript.scenes import (
    bodies,
    browsers,
    dev,
    inputs,
    leaderboard,
    limits,
    orders,
    public,
    restart,
    signin,
    stream,
    trading,
)

SCENES = [
    *public.SCENES,
    *signin.SCENES,
    *trading.SCENES,
    *orders.SCENES,
    *leaderboard.SCENES,
    *inputs.SCENES,
    *bodies.SCENES,
    *browsers.SCENES,
    *limits.SCENES,
    *dev.SCENES,
    *stream.SCENES,
    *restart.SCENES,
]
