"""Processes of an exchange on PostgreSQL, each with a folder of its own."""

from pathlib import Path

from tests.support.postgres import Postgres
from tests.support.process import Server

SECRET = "only-for-tests-and-long-enough-for-a-signing-secret"

SLOW = """
    SET search_path TO "{0}";
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER INSERT ON journal EXECUTE FUNCTION slow()"""
"""Every commit then takes 20 ms more, so that an answer which comes before it is one that a kill takes back."""

CUT_THE_ENGINE = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objid = 0"""
"""The session of the one that holds the shard."""


def settings(postgres: Postgres, schema: str, **more: str) -> dict[str, str]:
    """The environment of every process and command of this exchange."""
    return {
        "EXNESS_DEPLOY_DATABASE": postgres.url,
        "EXNESS_DEPLOY_NAME": schema,
        "EXNESS_AUTH_SECRET": SECRET,
        "EXNESS_STORAGE_SNAPSHOT_INTERVAL_S": "0.2",
        **more,
    }


def server(folder: Path, postgres: Postgres, schema: str, *, module: str = "exness", **more: str) -> Server:
    folder.mkdir(exist_ok=True)
    return Server(folder / "data", env=settings(postgres, schema, **more), cwd=folder, module=module)
