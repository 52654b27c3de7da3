"""A TCP proxy whose wire a test can cut, stretch and swallow, to stand between a part and its broker or database."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Mode = Literal["pass", "black_hole", "refuse"]
LOOK_SECONDS = 0.05
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Use `running_proxy`. `target`: a port of this machine, or the path of a Unix socket.

    pass         hands everything on, each piece after `delay` seconds
    black_hole   takes connections and bytes, answers nothing; connections caught in it stay dead for ever after,
                 as those of a firewall that forgot them, until `reset`
    refuse       resets what there is and every new connection
    """

    def __init__(self) -> None:
        self.target: int | str = 0
        self.delay = 0.0
        self.mode: Mode = "pass"
        self.num_caught = 0
        """Connections that fell into the black hole."""
        self._epoch = 0
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "refuse":
            self.reset()

    def reset(self) -> None:
        """Every connection there is ends with an RST; a new one is a matter of the mode."""
        self._epoch += 1

    def close(self) -> None:
        self._over = True
        self.reset()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[near, self._epoch], daemon=True).start()

    def _serve(self, near: socket.socket, epoch: int) -> None:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        with near, suppress(OSError):
            if self.mode == "refuse":
                return
            if self.mode == "black_hole":
                self._swallow(epoch)
                return
            with self._reach() as far:
                self._carry(near, far, epoch)

    def _reach(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        far = socket.socket(socket.AF_UNIX)
        far.connect(self.target)
        return far

    def _carry(self, near: socket.socket, far: socket.socket, epoch: int) -> None:
        other = {near: far, far: near}
        while self._epoch == epoch:
            readable, _, _ = select.select([near, far], [], [], LOOK_SECONDS)
            if self.mode == "black_hole":
                return self._swallow(epoch)
            for end in readable:
                piece = end.recv(65536)
                if not piece:
                    return
                time.sleep(self.delay)
                other[end].sendall(piece)

    def _swallow(self, epoch: int) -> None:
        self.num_caught += 1
        while self._epoch == epoch:
            time.sleep(LOOK_SECONDS)


@contextmanager
def running_proxy(target: int | str = 0) -> Iterator[Proxy]:
    proxy = Proxy()
    proxy.target = target
    try:
        yield proxy
    finally:
        proxy.close()
