"""What an operator reads at start."""

import shlex
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from exness import __version__
from exness.access.ports import Mailer
from exness.config import Config
from exness.core.sums import AllBooks
from exness.runtime.exchange import Exchange
from exness.runtime.recovery import Recovered
from exness.storage.files import JOURNAL_DB
from exness.web.http.listening import Listening
from exness.web.v1 import PREFIX

YOU = "you@example.com"
"""Who a newcomer is."""


def banner(
    config: Config,
    exchange: Exchange,
    mailer: Mailer,
    recovered: Recovered,
    listening: Listening,
    config_file: Path | None,
    warnings: Sequence[str] = (),
    terminal: str = "",
    where: str = "",
) -> str:
    """What an operator wants to know at start, and a first trade to paste on the same machine. `warnings` come beside
    the settings' own. `terminal`: a link that signs a browser in, where there may be one.
    `where` the exchange is kept, if not in the data directory."""
    data_dir = config.storage.data_dir.resolve()
    books = exchange.look(AllBooks())
    url_api = f"{listening.local_url}{PREFIX}"
    source = f"snapshot {recovered.snapshot_seq}" if recovered.snapshot_seq else "no snapshot"
    asset = next(iter(exchange.rules.instruments))
    lines = [
        f"exness {__version__}",
        *([f"  data       {where}", f"  folder     {data_dir}"] if where else [f"  data       {data_dir}"]),
        f"  feed       {exchange.feed.describe()}",
        f"  mail       {mailer.describe()}",
        f"  recovered  {source} + {recovered.replayed} events = "
        f"seq {recovered.snapshot_seq + recovered.replayed}: {books.accounts} accounts, "
        f"{books.open_trades} open trades in {recovered.seconds:.3f} s",
        f"  state      {recovered.digest}",
        *(f"  note       {note}" for note in recovered.notes),
        f"  listening  {listening.describe()}",
        f"  users      {config.server.public_url or listening.url}",
        *([f"  terminal   {terminal}"] if terminal else []),
        *(f"  warning    {warning}" for warning in (*warnings, *_warnings(config, listening))),
        "  first trade, in another terminal:",
        *([_price_command(url_api, asset)] if config.feed.source == "manual" else []),
        f"    TOKEN=$({_token_command(config, config_file)})",
        f'    curl -s {url_api}/trade/create -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\',
        f'      -d \'{{"asset": "{asset}", "type": "long", "margin": 100, "leverage": 10}}\'',
    ]
    return "\n".join(lines)


def may_show_link(config: Config, listening: Listening) -> bool:
    """Whether a link that signs in may stand in the banner: whoever reads it is at this machine, which alone can open
    it, and no mail would bring it. And it leads to our own page."""
    server, auth = config.server, config.auth
    is_private = not server.production and not (auth.resend_api_key or auth.smtp_url)
    return is_private and not server.frontend_url and all(ip_address(each).is_loopback for each in listening.addresses)


def _price_command(url_api: str, asset: str) -> str:
    """Nobody else sets one."""
    return (
        f"""    curl -s -X PUT {url_api}/dev/prices/{asset} -H "Content-Type: application/json" -d '{{"mid": 200}}'"""
    )


def _token_command(config: Config, config_file: Path | None) -> str:
    """How to get a token, from any directory. A secret that is configured is found where it was found now."""
    words = [sys.executable, "-m", "exness", "token", YOU]
    words += ["--data-dir", str(config.storage.data_dir.resolve())]
    if config.auth.secret and config_file is not None:
        words += ["--config", str(config_file.resolve())]
    return shlex.join(words)


def _warnings(config: Config, listening: Listening) -> list[str]:
    warnings = []
    if listening.everywhere and not config.server.public_url:
        warnings.append(
            f"public_url is not set: mailed links begin with {listening.url}, which leads here from this "
            "machine only; set [server] public_url to the address of users"
        )
    if config.deploy.database and (config.storage.data_dir / JOURNAL_DB).exists():
        warnings.append(
            f"{config.storage.data_dir} holds an exchange in files: it is left alone, deploy.database is set"
        )
    if config.storage.acknowledge == "memory":
        warnings.append('acknowledge = "memory": a crash loses trades that were acknowledged')
    if config.dev.control:
        can = "set prices and the clock, pay money in" if config.feed.source == "manual" else "pay money in"
        warnings.append(
            f"dev control: any program on this machine can {can}, sign in as anybody and start afresh, unasked"
        )
    if config.server.production and not (config.auth.resend_api_key or config.auth.smtp_url):
        warnings.append("no mail provider is set: sign-in links stay in the outbox, nobody gets them")
    if not config.server.production and any(not ip_address(address).is_loopback for address in listening.addresses):
        warnings.append(
            f"{config.server.host} is beyond this machine while production = false: sign-in links are in the log, "
            "cookies go without Secure, answers without HSTS"
        )
    return warnings
