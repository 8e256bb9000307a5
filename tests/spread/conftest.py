"""What the tests of a spread-out exchange stand on."""

from tests.support.postgres import postgres, schema
from tests.support.redis import redis

__all__ = ["postgres", "redis", "schema"]
