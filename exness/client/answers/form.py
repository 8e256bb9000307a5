"""What all answers are made of."""

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every answer."""


class Pagination(Answer, frozen=True, kw_only=True):
    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None = None
