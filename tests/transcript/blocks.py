"""One step of a transcript, as text and back. The text is for people: a difference should be seen at a glance."""

from collections.abc import Iterator
from dataclasses import dataclass, field

ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "date": "<date>",
    "referrer-policy": "no-referrer",
    "server": "exness",
    "vary": "Origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-request-id": "<this request's>",
}
"""Headers that all but every answer has; one line stands for all of them."""
AS_ALWAYS = "(headers as always)"
JSON = {"content-type": "application/json; charset=utf-8", "content-length": "<its length>"}
AS_JSON = "(headers as always, JSON)"


@dataclass
class Block:
    """What was sent, what came back, and what the streams have heard. Headers by their names in lower case."""

    title: str
    sent: list[str] = field(default_factory=list)
    status: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    frames: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [f"### {self.title}", *(f"> {line}" for line in self.sent)]
        if self.status:
            lines += [f"< {self.status}", *(f"< {line}" for line in self._header_lines())]
        if self.body:
            lines += [f"= {line}" for line in self.body.split("\n")]
        return "\n".join([*lines, *(f"~ {frame}" for frame in self.frames)]) + "\n"

    def _header_lines(self) -> Iterator[str]:
        left = dict(self.headers)
        for usual, line in ((ALWAYS | JSON, AS_JSON), (ALWAYS, AS_ALWAYS)):
            if usual.items() <= left.items():
                left = {name: value for name, value in left.items() if name not in usual}
                yield line
                break
        yield from (f"{name}: {value}" for name, value in left.items())


def as_text(blocks: list[Block]) -> str:
    return "\n".join(block.text() for block in blocks)


def read(text: str) -> list[Block]:
    """The blocks of a transcript."""
    return [_read_block(part) for part in f"\n{text}".split("\n### ")[1:]]


def _read_block(text: str) -> Block:
    title, *lines = text.rstrip("\n").split("\n")
    block = Block(title)
    body: list[str] = []
    for line in lines:
        mark, rest = line[:2], line[2:]
        if mark == "> ":
            block.sent.append(rest)
        elif mark == "~ ":
            block.frames.append(rest)
        elif mark == "= ":
            body.append(rest)
        elif mark == "< " and not block.status:
            block.status = rest
        elif mark == "< " and rest in (AS_ALWAYS, AS_JSON):
            block.headers |= ALWAYS | (JSON if rest == AS_JSON else {})
        elif mark == "< ":
            name, _, value = rest.partition(": ")
            block.headers[name] = value
    block.body = "\n".join(body)
    return block
