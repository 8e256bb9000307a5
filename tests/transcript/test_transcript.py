"""What the exchange answers is what it has always answered. `python -m tests.transcript --record` makes it anew."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.transcript.blocks import Block, as_text, read
from tests.transcript.comparing import MODE, Mode, differences
from tests.transcript.player import play
from tests.transcript.scenes import SCENES
from tests.transcript.seam import CLOSE_CODES, ENDPOINTS, ERROR_CODES
from tests.transcript.steps import Scene
from tests.transcript.transcript import FOLDER, file_of

PLAYED = [(scene, "disk") for scene in SCENES] + [(scene, "memory") for scene in SCENES if scene.in_memory]
PLAIN = [scene for scene in SCENES if scene.name not in ("addresses", "bodies")]
"""In these two some requests are no HTTP, which aiohttp answers in its own words."""

UNPROVOKED = {
    "account_exists": "the account of an address is made once, by whoever comes first",
    "account_not_found": "of a request that is under way during a reset; tests/web/test_reset.py holds the disk for it",
    "range_too_large": "needs 100,000 changes; tests/web/test_statement.py",
    "too_many_keys": "needs 30 keys; tests/web/test_keys.py",
    "shutting_down": "needs a request during the drain; tests/web/test_gone_wrong.py",
}
UNPROVOKED_CLOSES = {
    1011: "needs a bug",
    4008: "needs a reader whose kernel takes no more; tests/web/test_stream_slow.py",
}


def recorded(scene: Scene) -> list[Block]:
    return read(file_of(scene).read_text())


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    return [block for scene in SCENES for block in recorded(scene)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that can be: no scene is about power cuts, and a busy disk takes most of the time."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.mark.parametrize(("scene", "storage"), PLAYED, ids=[f"{scene.name}-{where}" for scene, where in PLAYED])
async def test_a_scene_is_answered_as_it_was_recorded(scene: Scene, storage: str, folder: Path) -> None:
    made = await play(scene, folder, in_memory=storage == "memory")
    found = list(differences(scene.name, recorded(scene), made, MODE))
    assert not found, "\n\n".join(["what is answered differs from the transcript", *found[:10]])


@pytest.mark.parametrize("scene", PLAIN, ids=lambda scene: scene.name)
async def test_on_plain_aiohttp_a_scene_is_answered_the_same(scene: Scene, folder: Path) -> None:
    on_plain = replace(scene, settings={**scene.settings, "EXNESS_SERVER_PLAIN_HTTP": "true"})
    made = await play(on_plain, folder, in_memory=scene.in_memory)
    found = list(differences(scene.name, recorded(scene), made, MODE))
    assert not found, "\n\n".join(["what is answered differs from the transcript", *found[:10]])


# --- there is a scene for everything ------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_every_endpoint_is_seen_to_succeed(method: str, path: str, blocks: list[Block]) -> None:
    if path.endswith("/stream"):
        succeeded = [block for block in blocks if block.status == "HTTP/1.1 101"]
    else:
        pattern = re.escape(f"{method} {path}")
        for parameter, value in {"asset": "[A-Z]+", "file": "[a-z.]+", "id": "<[^>]+>"}.items():
            pattern = pattern.replace(rf"\{{{parameter}\}}", value)
        asked = re.compile(pattern + r"(\?.*)?")
        succeeded = [
            block for block in blocks if asked.fullmatch((block.sent or [""])[0]) and block.status[9:10] in ("2", "3")
        ]
    assert succeeded, f"no scene asks for {method} {path} and gets it"


def test_every_error_is_seen_but_those_with_a_reason(blocks: list[Block]) -> None:
    seen = {code for block in blocks for text in (block.body, *block.frames) for code in codes_in(text)}
    assert seen - {"stop_loss_beyond_liquidation"} == ERROR_CODES - UNPROVOKED.keys()  # of `warnings`
    assert UNPROVOKED.keys() <= ERROR_CODES


def test_every_close_code_is_seen_but_those_with_a_reason(blocks: list[Block]) -> None:
    closes = (re.search(r": close (\d+)", frame) for block in blocks for frame in block.frames)
    assert {int(found[1]) for found in closes if found} == CLOSE_CODES - UNPROVOKED_CLOSES.keys()


def test_every_type_of_frame_is_seen(blocks: list[Block]) -> None:
    found = (re.search(r'"channel":"([a-z]+).*?"type":"(\w+)"', frame) for block in blocks for frame in block.frames)
    assert {(each[1], each[2]) for each in found if each} == {
        ("prices", "snapshot"),
        ("prices", "price"),
        ("candles", "snapshot"),
        ("candles", "candle"),
        ("trades", "snapshot"),
        ("trades", "opened"),
        ("trades", "closed"),
        ("trades", "liquidated"),
        ("trades", "increased"),
        ("trades", "reduced"),
        ("trades", "changed"),
        ("orders", "snapshot"),
        ("orders", "placed"),
        ("orders", "amended"),
        ("orders", "triggered"),
        ("orders", "ended"),
        ("account", "snapshot"),
        ("account", "balance"),
        ("control", "subscribed"),
        ("control", "unsubscribed"),
        ("control", "pong"),
        ("control", "authenticated"),
        ("control", "error"),
    }


def test_what_is_recorded_is_what_is_played() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {file_of(scene).name for scene in SCENES}
    names = [scene.name for scene in SCENES]
    assert len(names) == len(set(names))


def codes_in(text: str) -> list[str]:
    """The error codes of an answer or a frame."""
    return re.findall(r'"code":"(\w+)"', text)


# --- the comparison itself ----------------------------------------------------------------------------------------


def block(**changed: Any) -> Block:
    parts: dict[str, Any] = {
        "title": "1. Ann asks",
        "sent": ["GET /x", "Authorization: Bearer <ann>"],
        "status": "HTTP/1.1 200",
        "headers": {"content-length": "<its length>", "x-y": "z"},
        "body": json.dumps({"a": 1, "list": [{"b": "2"}]}),
        "frames": ['ann: {"channel":"account","seq":1}', "ann: close 1000 normal"],
    }
    return Block(**(parts | changed))


GROWN: dict[str, dict[str, Any]] = {
    "a header": {"headers": {"content-length": "<its length>", "x-new": "1", "x-y": "z"}},
    "a field": {"body": json.dumps({"a": 1, "new": None, "list": [{"b": "2"}]})},
    "a field of a row": {"body": json.dumps({"a": 1, "list": [{"b": "2", "new": []}]})},
    "a field of a frame": {"frames": ['ann: {"channel":"account","seq":1,"new":0}', "ann: close 1000 normal"]},
}
CHANGED: dict[str, dict[str, Any]] = {
    "the status": {"status": "HTTP/1.1 201"},
    "what is sent": {"sent": ["GET /y"]},
    "a header": {"headers": {"content-length": "<its length>", "x-y": "other"}},
    "a header that is gone": {"headers": {"content-length": "<its length>"}},
    "a value": {"body": json.dumps({"a": 2, "list": [{"b": "2"}]})},
    "a type": {"body": json.dumps({"a": True, "list": [{"b": "2"}]})},
    "a field that is gone": {"body": json.dumps({"list": [{"b": "2"}]})},
    "a row more": {"body": json.dumps({"a": 1, "list": [{"b": "2"}, {"b": "2"}]})},
    "a row less": {"body": json.dumps({"a": 1, "list": []})},
    "no body": {"body": ""},
    "a frame": {"frames": ['ann: {"channel":"account","seq":2}', "ann: close 1000 normal"]},
    "a frame less": {"frames": ['ann: {"channel":"account","seq":1}']},
    "a close code": {"frames": ['ann: {"channel":"account","seq":1}', "ann: close 1001 going_away"]},
    "whose frame it is": {"frames": ['bob: {"channel":"account","seq":1}', "ann: close 1000 normal"]},
}


@pytest.mark.parametrize("what", GROWN)
def test_what_has_grown_differs_only_byte_for_byte(what: str) -> None:
    now = block(**GROWN[what])
    assert list(differences("scene", [block()], [now], Mode.GROWN)) == []
    assert "scene scene, step 1. Ann asks" in next(differences("scene", [block()], [now], Mode.EXACT))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("what", CHANGED)
def test_what_has_changed_differs_in_every_mode(what: str, mode: Mode) -> None:
    assert list(differences("scene", [block()], [block(**CHANGED[what])], mode))


@pytest.mark.parametrize("mode", Mode)
def test_a_step_too_many_or_too_few_differs(mode: Mode) -> None:
    assert list(differences("scene", [block()], [block(), block()], mode))
    assert list(differences("scene", [block(), block()], [block()], mode))
    assert list(differences("scene", [block()], [block()], mode)) == []


def test_a_transcript_reads_back_as_it_was_written() -> None:
    written = [block(), Block("2. ### > nothing", body="a\n\n# b"), block(headers={"a": "b: c"}, frames=[])]
    assert read(as_text(written)) == written
    for scene in SCENES:
        assert as_text(recorded(scene)) == file_of(scene).read_text()
