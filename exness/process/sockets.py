"""What an operator is told when a port can't be listened on, and how many connections the system lets us have."""

import errno
import socket
import sys
from contextlib import suppress

FILES_BESIDE_CONNECTIONS = 200
"""Databases, logs, mails, the feed, connections that are being refused: what is open beside the clients' connections,
generously."""

FILES_AT_LEAST = 48
"""The same, when the system allows few: 26 are open at rest."""


def why_not_listening(host: str, port: int, error: OSError | ValueError) -> str:
    """One sentence: what is wrong with host or port, and what to do."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if host.startswith("["):
        return f"can't listen on {host}: write the address without brackets, --host {host.strip('[]')}"
    if isinstance(error, ValueError | socket.gaierror):  # ValueError: it can't even be looked up
        return f"can't listen on {host!r}: no such host is known; name an address of this machine with --host"
    match error.errno:
        case errno.EADDRINUSE:
            return f"can't listen on {where}: the port is in use; choose another with --port (0 picks a free one)"
        case errno.EADDRNOTAVAIL:
            return f"can't listen on {where}: {host} is not an address of this machine; choose another with --host"
        case errno.EACCES | errno.EPERM:
            return f"can't listen on {where}: permission denied; most systems keep the ports below 1024 for root"
        case errno.EAFNOSUPPORT:
            return f"can't listen on {where}: this machine has no addresses of that kind; choose another with --host"
        case _:
            return f"can't listen on {where}: {(error.strerror or str(error)).lower()}"


def allow_connections(wanted: int) -> int:
    """Have the system allow as many open files as so many connections need (the usual 1024 is less than that).

    How many connections it then allows: `wanted`, or fewer, so that those beyond can be refused in words.
    """
    files = wanted + FILES_BESIDE_CONNECTIONS
    allowed = _allow_files(files)
    if not 0 <= allowed < files:
        return wanted
    beside = min(FILES_BESIDE_CONNECTIONS, max(FILES_AT_LEAST, allowed // 4))
    return max(1, min(wanted, allowed - beside))


if sys.platform == "win32":

    def _allow_files(files: int) -> int:
        """Windows has no limit of open files that sockets would count to."""
        return -1

else:
    import resource

    def _allow_files(files: int) -> int:
        """How many files may be open, once as many as possible up to `files` are allowed. Negative: without limit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= soft < files:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard) if hard > 0 else files, hard))
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
