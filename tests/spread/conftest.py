"""What the tests of an exchange on PostgreSQL stand on."""

from tests.support.postgres import postgres, schema

__all__ = ["postgres", "schema"]
