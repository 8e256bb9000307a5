"""What this program asks of the operating system about files, where systems differ: locks of whole files, and writes
that reach the disk itself."""

import os
import sys
from contextlib import suppress
from pathlib import Path

OPEN: int = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""For `os.open`: no child has the file, and Windows leaves line ends as they are."""

if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30
    """Windows locks bytes, and keeps others from reading them: this one is beyond all that a lock file says."""

    def take_lock(handle: int, *, shared: bool) -> bool:
        """Whether an open file is locked now. Locks are never shared here: two that only read shut each other out."""
        position = os.lseek(handle, 0, os.SEEK_CUR)
        os.lseek(handle, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, position, os.SEEK_SET)
        return True

    def sync(handle: int) -> None:
        """Have an open file on the disk itself."""
        os.fsync(handle)

    def flush(path: Path) -> None:
        """Have a file on the disk itself. Names in a directory are Windows' own care: it can't be opened there."""
        if path.is_file():
            handle = os.open(path, os.O_RDWR | OPEN)
            try:
                sync(handle)
            finally:
                os.close(handle)

else:
    import fcntl

    def take_lock(handle: int, *, shared: bool) -> bool:
        """Whether an open file is locked now: by one, or `shared` by some. The lock ends with the process."""
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sync(handle: int) -> None:
        """Have an open file, or the names in an open directory, on the disk itself: macOS' `fsync` stops at the drive's
        cache. A file system that does not know that request is asked as elsewhere."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            with suppress(OSError):
                fcntl.fcntl(handle, full)
                return
        os.fsync(handle)

    def flush(path: Path) -> None:
        """Have a file, or the names in a directory, on the disk itself."""
        handle = os.open(path, os.O_RDONLY | OPEN)
        try:
            sync(handle)
        finally:
            os.close(handle)
