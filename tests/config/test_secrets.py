"""Secrets among the settings: nothing shows them."""

import pytest

from exness.config import load
from tests.config.loading import error_of, from_env


def test_secrets_do_not_show_in_a_repr() -> None:
    config = from_env(
        EXNESS_AUTH_SECRET="s3cret" * 6,
        EXNESS_AUTH_PREVIOUS_SECRET="s3cret" * 7,
        EXNESS_AUTH_RESEND_API_KEY="re_123",
        EXNESS_AUTH_SMTP_URL="smtp://u:pass@h",
    )
    for shown in (repr(config), str(config.auth)):
        assert not any(secret in shown for secret in ("s3cret", "re_123", "pass"))
    assert repr(config.auth) == (
        "AuthConfig(secret=<hidden>, previous_secret=<hidden>, session_days=7, link_minutes=5, "
        "resend_api_key=<hidden>, smtp_url=<hidden>, mail_from='exness <no-reply@localhost>', session_cache=10000)"
    )


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        (
            "EXNESS_AUTH_SECRET",
            "s3cret",
            'auth.secret must be text of at least 32 characters, or "" to have one made at first start',
        ),
        ("EXNESS_AUTH_RESEND_API_KEY", "s3cret\n", "auth.resend_api_key must be text on one line"),
        (
            "EXNESS_AUTH_SMTP_URL",
            "http://u:s3cret@h",
            'auth.smtp_url must be a URL that begins with smtp:// or smtps://, or "" for none',
        ),
        (  # a password with a slash that is not quoted
            "EXNESS_DEPLOY_BUS",
            "redis://:a/s3cret@h:6379",
            "deploy.bus must be a URL like redis://user:password@host:6379/0, "
            'or "" for none: one process does everything',
        ),
    ],
)
def test_a_refused_secret_does_not_show_in_the_error(variable: str, value: str, problem: str) -> None:
    assert error_of(lambda: load(None, {variable: value}, {})) == f"{variable}: {problem}"
