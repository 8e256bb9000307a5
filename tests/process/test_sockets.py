"""process/sockets.py: one sentence for each reason, and as many connections as the system allows."""

import errno
import resource
import socket

import pytest

from exness.process.sockets import allow_connections, why_not_listening

NO_SUCH_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

CASES: dict[str, tuple[str, OSError | ValueError, list[str]]] = {
    "no such host": ("nosuchhost.invalid", NO_SUCH_HOST, ["no such host", "nosuchhost.invalid", "--host"]),
    "the resolver fails": (
        "example.test",
        socket.gaierror(socket.EAI_AGAIN, "again"),
        ["no such host", "example.test"],
    ),
    "brackets": ("[::1]", NO_SUCH_HOST, ["without brackets", "--host ::1"]),
    "brackets of any kind": ("[::]", OSError(errno.EINVAL, "x"), ["without brackets", "--host ::"]),
    "no name at all": ("a..b", UnicodeError("label empty or too long"), ["no such host", "a..b"]),
    "a null character": ("a\0b", ValueError("embedded null character"), ["no such host", "a\\x00b"]),
    "in use": ("127.0.0.1", OSError(errno.EADDRINUSE, "x"), ["127.0.0.1:8002", "in use", "--port"]),
    "in use, IPv6": ("::1", OSError(errno.EADDRINUSE, "x"), ["[::1]:8002", "in use"]),
    "another machine's": ("192.0.2.1", OSError(errno.EADDRNOTAVAIL, "x"), ["not an address of this machine", "--host"]),
    "not permitted": ("127.0.0.1", PermissionError(errno.EACCES, "x"), ["permission denied", "1024"]),
    "no IPv6 here": ("::1", OSError(errno.EAFNOSUPPORT, "x"), ["no addresses of that kind", "--host"]),
    "anything else": ("127.0.0.1", OSError(errno.ENOBUFS, "No buffer space available"), ["no buffer space available"]),
    "without a number": ("127.0.0.1", OSError("strange"), ["strange"]),
}
BLAMES_PORT = {"in use", "in use, IPv6"}


@pytest.mark.parametrize("name", CASES)
def test_each_reason_has_its_own_sentence_and_blames_nothing_else(name: str) -> None:
    host, error, words = CASES[name]
    sentence = why_not_listening(host, 8002, error)
    assert sentence.startswith("can't listen on ")
    for word in words:
        assert word in sentence
    assert ("--port" in sentence) is (name in BLAMES_PORT)
    assert "unknown error" not in sentence


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A system's limit of open files, in the place of the real one."""
    system = {"soft": 1024, "hard": 4096}

    def set_limit(which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        assert limits[1] == system["hard"], "the hard limit is not for us to change"
        if system["hard"] != resource.RLIM_INFINITY and limits[0] > system["hard"]:
            raise ValueError("not allowed to raise maximum limit")
        system["soft"] = limits[0]

    monkeypatch.setattr(resource, "getrlimit", lambda which: (system["soft"], system["hard"]))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    return system


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed", "then_soft"),
    [
        (1024, 1_048_576, 4000, 4000, 4200),
        (1024, resource.RLIM_INFINITY, 4000, 4000, 4200),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4000, 4000, resource.RLIM_INFINITY),
        (8192, 8192, 4000, 4000, 8192),
        (1024, 4200, 4000, 4000, 4200),
        (1024, 4199, 4000, 3999, 4199),
        (256, 256, 4000, 192, 256),
        (256, 256, 10, 10, 256),
        (64, 64, 4000, 16, 64),
        (32, 32, 4000, 1, 32),
    ],
)
def test_as_many_connections_as_open_files_leave_room_for(
    limits: dict[str, int], soft: int, hard: int, wanted: int, allowed: int, then_soft: int
) -> None:
    limits.update(soft=soft, hard=hard)
    assert allow_connections(wanted) == allowed
    assert limits["soft"] == then_soft
