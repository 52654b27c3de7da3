"""The key by which a machine that has joined comes back, kept in the data folder for the machine's user alone.

The folder is shared between machines, so the host's name is in the file's name: each machine has a key of its own.
"""

import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from webapp.workers.rules import Refused, name_from_host


class WorkerKey:
    """`is_new`: made just now, so that no app has heard of it yet."""

    def __init__(self, data_dir: Path, token: str, host: str) -> None:
        """Made on first use and on the disk before it is told to anyone. Raises Refused."""
        name = f"{hashlib.sha256(token.encode()).hexdigest()[:32]}.{name_from_host(host)}"
        self.path = data_dir / "worker_keys" / name
        try:
            self.is_new = not self.path.exists()
            if self.is_new:
                self._make()
            self.text = self.path.read_text("ascii")
        except (OSError, UnicodeError) as error:
            raise Refused(f"The worker's key cannot be kept in {self.path.parent} ({error}).") from error

    def forget(self) -> None:
        """Of a machine that was not let in."""
        self.path.unlink(missing_ok=True)

    def _make(self) -> None:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        # Only its owner may read a NamedTemporaryFile. Of two processes at once the first one's key counts.
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix="new-") as part:
            part.write(secrets.token_urlsafe(32))
            part.flush()
            os.fsync(part.fileno())
            with suppress(FileExistsError):
                os.link(part.name, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
