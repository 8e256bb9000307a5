"""What the mails say."""

from html.parser import HTMLParser

import pytest

from exness.mail.messages import NOT_ASKED, duration, link_mail
from tests.mail.servers import LINK, TOKEN, YUKI


class Page(HTMLParser):
    """The links, the words and the tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.tags: list[str] = []
        self.words = ""
        self.attributes: dict[str, str | None] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {f"{tag}.{name}": value for name, value in attrs}
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    ("purpose", "subject"),
    [("signup", "Finish signing up to exness"), ("signin", "Your link to sign in to exness")],
)
def test_the_subject_says_which_it_is(purpose: str, subject: str) -> None:
    mail = link_mail(purpose, YUKI, LINK, 5)
    assert (mail.to, mail.subject, mail.link) == (YUKI, subject, LINK)
    assert Page(mail.html).words.count(subject) == 1  # the title


@pytest.mark.parametrize("purpose", ["signup", "signin"])
def test_both_parts_hold_the_link_its_life_and_what_to_do_when_nobody_asked(purpose: str) -> None:
    mail = link_mail(purpose, YUKI, LINK, 5)
    page = Page(mail.html)
    for part in (mail.text, page.words):
        assert LINK in part
        assert "works once, within 5 minutes." in part
        assert NOT_ASKED in part
    assert LINK in mail.text.splitlines()
    assert page.links == [LINK]


def test_the_page_needs_no_pictures_styles_or_scripts_and_names_its_language() -> None:
    page = Page(link_mail("signin", YUKI, LINK, 5).html)
    assert set(page.tags) == {"html", "head", "meta", "title", "body", "p", "a", "br"}
    assert page.attributes["html.lang"] == "en"


def test_what_is_in_a_link_stays_a_link() -> None:
    link = "https://exness.test/?a=1&b=\"'><script>alert(1)</script>"
    mail = link_mail("signin", YUKI, link, 5)
    page = Page(mail.html)
    assert page.links == [link]
    assert "script" not in page.tags
    assert "<script>" not in mail.html


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "/signin?token=x",
        "",
        "https://",
        "https://exness.test/\nsecond line",
        "https://exness.test/\r\n\r\n",
        "https://exness.test/a b",
        "https://[broken/",
    ],
)
def test_nobody_is_sent_to_what_is_no_web_address(link: str) -> None:
    with pytest.raises(ValueError) as refused:
        link_mail("signin", YUKI, link, 5)
    assert str(refused.value) == "a mailed link must be an http or https address without spaces"


def test_a_life_is_said_as_people_say_it() -> None:
    said = {minutes: duration(minutes) for minutes in (1, 5, 59, 60, 90, 120, 1440)}
    assert said == {
        1: "1 minute",
        5: "5 minutes",
        59: "59 minutes",
        60: "1 hour",
        90: "90 minutes",
        120: "2 hours",
        1440: "24 hours",
    }


def test_a_mails_repr_shows_neither_link_nor_address() -> None:
    shown = repr([link_mail("signup", YUKI, LINK, 5)])
    assert shown == "[Mail(subject='Finish signing up to exness', <hidden>)]"
    assert TOKEN not in shown
