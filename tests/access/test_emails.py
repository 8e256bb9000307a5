"""Mail addresses as logs may show them."""

import pytest

from exness.access.emails import masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("yuki@example.com", "y***@e***.com"),
        ("yuki@mail.example.co.uk", "y***@m***.uk"),
        ("y@e.com", "y***@e***.com"),
        ("root@localhost", "r***@l***"),
        ("ünal@bücher.example", "ü***@b***.example"),
        ('"a@b"@example.com', '"***@e***.com'),
        ("@example.com", "***@e***.com"),
        ("yuki@", "y***@***"),
        ("no address", "***"),
        ("", "***"),
        ("\nyuki@example.com", "***"),
        ("yuki@example.com\n", "***"),
        ("yuki@example.\x1b[31m", "***"),
    ],
)
def test_an_address_is_recognised_by_its_owner_only(address: str, shown: str) -> None:
    assert masked(address) == shown
