"""Mails with a sign-in link, on their way to the postman."""

import asyncio
import secrets
from collections.abc import Callable

from exness.access.ports import Mail
from exness.mail.messages import link_mail
from exness.mail.postman import Postman

MAIL_DELAY_S = 0.05
"""A mail waits this long, and up to twice as long."""
MAILS_WAITING = 1000


class PostedLinks:
    """Implements `access.ports.LinkMails`. `page_url`, of the page that takes the token, is asked for when
    it is needed: the port may be known only then.

    A mail is handed on a random moment after it was asked for. Its sending takes time on the machine, and were that
    spent right when the answer goes out, the answer would tell by its own time who has an account.
    """

    def __init__(self, postman: Postman, page_url: Callable[[], str], minutes: int) -> None:
        self._postman = postman
        self._page_url = page_url
        self._minutes = minutes
        self._waiting: dict[Mail, asyncio.TimerHandle] = {}

    def write(self, purpose: str, email: str, token: str) -> Mail:
        link = f"{self._page_url()}?token={token}"
        return link_mail(purpose, email, link, self._minutes)

    def post(self, mail: Mail) -> bool:
        if len(self._waiting) >= MAILS_WAITING:
            return False
        delay_s = MAIL_DELAY_S * (1 + secrets.randbelow(1000) / 1000)
        self._waiting[mail] = asyncio.get_running_loop().call_later(delay_s, self._hand_on, mail)
        return True

    def hand_on_all(self) -> None:
        """At the end nobody waits any more."""
        for mail in list(self._waiting):
            self._waiting[mail].cancel()
            self._hand_on(mail)

    def _hand_on(self, mail: Mail) -> None:
        del self._waiting[mail]
        self._postman.post(mail)
