"""What anybody may see: assets and prices."""

from aiohttp import web

from exness.core.instruments import Asset
from exness.runtime.exchange import Exchange
from exness.web.context import answer, context_of
from exness.web.errors import ApiError
from exness.web.wire import PriceAnswer, SupportedAsset, SupportedAssets, leverage_out, price_answer


async def supported_assets(request: web.Request) -> web.StreamResponse:
    """GET /supportedAssets."""
    instruments = context_of(request).exchange.rules.instruments.values()
    assets = [
        SupportedAsset(
            symbol=instrument.asset,
            name=instrument.name,
            decimals=instrument.decimals,
            image_url=instrument.image_url,
            max_leverage=leverage_out(instrument.max_leverage),
        )
        for instrument in instruments
    ]
    return answer(SupportedAssets(assets))


async def prices(request: web.Request) -> web.StreamResponse:
    """GET /prices: every asset's, by asset."""
    exchange = context_of(request).exchange
    return answer({asset: _price(exchange, asset) for asset in exchange.rules.instruments})


async def price(request: web.Request) -> web.StreamResponse:
    """GET /prices/{asset}."""
    exchange = context_of(request).exchange
    asset = Asset(request.match_info["asset"])
    if asset not in exchange.rules.instruments:
        supported = ", ".join(exchange.rules.instruments)
        raise ApiError("not_found", f"There is no such asset. Supported assets are {supported}")
    return answer(_price(exchange, asset))


def _price(exchange: Exchange, asset: Asset) -> PriceAnswer:
    decimals, state = exchange.rules.instruments[asset].decimals, exchange.state
    return price_answer(asset, decimals, state.price(asset), state.price_state(asset, exchange.clock.now_us()))
