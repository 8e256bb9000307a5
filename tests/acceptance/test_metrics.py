"""/metrics of the real process: every part has a say."""

from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.process import Server
from tests.support.waiting import until

ORDER = {"asset": "SOL", "type": "long", "margin": 1, "leverage": 2}


async def test_the_real_process_tells_of_all_its_parts(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server, aiohttp.ClientSession() as session:
        token = await server.token("ann@example.com")
        assert (await server.post("/trade/create", token, ORDER)).status == 200

        async def told() -> dict[tuple[str, ...], float]:
            async with session.get(f"{server.url}/metrics") as response:
                text = await response.text()
            return {
                (sample.name, *sample.labels.values()): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }

        async def lag_is_measured() -> bool:
            return (await told())["exness_loop_lag_seconds_count",] > 0

        async with session.ws_connect(f"{server.url}/api/v1/stream"):
            await until(lag_is_measured, pause_s=0.05)
            samples = await told()
        assert samples["exness_events_total", "trade_opened", ""] == 1
        assert samples["exness_stream_readers",] == 1
        assert samples["exness_connections",] >= 1
        assert samples["exness_ticks_checked_total",] > 0
        assert samples["exness_feed_messages_total", "ticks"] > 0
        assert samples["exness_file_bytes", "journal.db"] > 0
        assert samples["process_resident_memory_bytes",] > 0
        assert samples["exness_mails_total", "sent"] == 0
        assert await server.stop() == 0
