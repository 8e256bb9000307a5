"""schemathesis against the real process: what it answers is what its own OpenAPI document says."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.process import UNLIMITED, Server

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
EXAMPLES = 40
LOGOUT = "/api/v1/logout"
"""Apart from the rest: it ends the session that all others are tried with."""

TRADING = "/api/v1/(trade|order|net)"
WITHIN_S = 300
"""Its work is that of half a minute of one core, which others may want too."""

DOCUMENT = "/openapi.json"
"""schemathesis leaves it out unless it is asked for."""

SIGNING = Path(__file__).with_name("signing_hooks.py")


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize(
    ("which", "flags"),
    [
        (("--include-path-regex", TRADING), ()),
        (("--exclude-path-regex", f"{TRADING}|{LOGOUT}"), ()),
        (("--include-path", LOGOUT), ()),
        (("--include-path", DOCUMENT), ()),
        (("--include-path-regex", "/dev/"), ("--feed", "manual", "--dev-control")),
    ],
    ids=["trading", "all others", "logout", "the document", "dev control"],
)
async def test_every_endpoint_answers_as_its_document_says(
    tmp_path: Path, which: tuple[str, str], flags: tuple[str, ...]
) -> None:
    async with Server(tmp_path / "data", *flags) as server:
        token = await server.token("ann@example.com")
        code, said = await run_schemathesis(
            tmp_path, f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token}", *which
        )
        await assert_passed(server, code, said, least=10)


MANY = "/fapi/v1/(order|algoOrder|batchOrders|klines|aggTrades|allOrders|userTrades|income|leverage|positionMargin)$"
"""Endpoints of the Binance face that have much to be wrong about."""
FACE_EXAMPLES = 15


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 60)
@pytest.mark.parametrize(
    "which", [("--include-path-regex", MANY), ("--exclude-path-regex", MANY)], ids=["what takes much", "all others"]
)
async def test_the_binance_face_answers_as_its_own_document_says(tmp_path: Path, which: tuple[str, str]) -> None:
    async with Server(tmp_path / "data", env=UNLIMITED) as server:
        key = (await server.post("/keys", await server.token("ann@example.com"), {"name": "bot"})).body
        code, said = await run_schemathesis(
            tmp_path,
            f"{server.url}/fapi/openapi.json",
            *which,
            examples=FACE_EXAMPLES,
            SCHEMATHESIS_HOOKS=str(SIGNING),
            KEY=key["key"],
            SECRET=key["secret"],
        )
        await assert_passed(server, code, said, least=100)


async def assert_passed(server: Server, code: int, said: str, least: int) -> None:
    assert code == 0, said
    match = re.search(r"(\d+) generated, (\d+) passed", said)
    assert match is not None, said
    assert match[1] == match[2]
    assert int(match[1]) >= least
    assert not any("request failed" in line for line in server.errors)
    assert (await server.get("/healthz")).status == 200


async def run_schemathesis(folder: Path, *arguments: str, examples: int = EXAMPLES, **env: str) -> tuple[int, str]:
    """A process of its own: it filters warnings and patches pytest as it likes, which is not for this one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", *arguments,
        "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", str(examples),
        "--seed", "4", "--generation-database", "none", "--no-color",
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return await process.wait(), said.decode()
