"""What the mails say. Pure: words in, a Mail out.

Both parts say the same and need neither pictures nor styles. The link stands alone on its line in the text, and in
full in the HTML, so that it can be read and copied where it can't be clicked.
"""

from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit

from exness.access.magic_links import SIGNIN, SIGNUP
from exness.access.ports import Mail


class _Words(NamedTuple):
    subject: str
    invitation: str
    action: str


WORDS = {
    SIGNUP: _Words(
        "Finish signing up to exness", "Open this link to finish signing up to exness:", "Finish signing up"
    ),
    SIGNIN: _Words("Your link to sign in to exness", "Open this link to sign in to exness:", "Sign in"),
}
NOT_ASKED = "If you did not ask for this, ignore this mail: without the link nothing happens."

_TEXT = """\
{invitation}

{link}

{validity}

{not_asked}
"""

_HTML = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{subject}</title>
</head>
<body>
<p>{invitation}</p>
<p><a href="{link}">{action}</a></p>
<p>Or copy this address into your browser:<br>
{link}</p>
<p>{validity}</p>
<p>{not_asked}</p>
</body>
</html>
"""


def link_mail(purpose: str, to: str, link: str, minutes: int) -> Mail:
    """The mail that carries a sign-up or sign-in link, which is valid for so many minutes.

    Raises ValueError for a link that is no plain http(s) address: nobody should be sent to anything else.
    """
    if not _is_web_address(link):
        raise ValueError("a mailed link must be an http or https address without spaces")
    words = {
        **WORDS[purpose]._asdict(),
        "link": link,
        "validity": f"The link works once, within {duration(minutes)}.",
        "not_asked": NOT_ASKED,
    }
    escaped = {name: escape(word) for name, word in words.items()}
    return Mail(to, words["subject"], _TEXT.format_map(words), _HTML.format_map(escaped), link)


def duration(minutes: int) -> str:
    """As people say it: 1 minute, 5 minutes, 2 hours."""
    count, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _is_web_address(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and link.isprintable() and " " not in link
