"""What a tradable asset is called elsewhere: of no consequence to trading, so no part of the core."""

from exness.core.instruments import Instrument


class Listing(Instrument, frozen=True):
    """An instrument with its names, as configured under `[assets.<ASSET>]`."""

    name: str
    """Display name: Solana."""
    symbol: str
    """The venue's name for it: SOL_USDC."""
    image_url: str
    """Empty: there is none."""
