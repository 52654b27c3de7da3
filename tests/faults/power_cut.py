"""What a disk may hold when the power goes in the middle of a commit.

Only what was brought to the disk is certain: a file's bytes once the file was, a name once its folder was (fsync).
Of everything else each piece may have reached the disk or not, a file also cut short or as zeros.

    with Recorder(root) as recorder:
        commit()
    for moment in recorder.moments:
        for folder in moment.states(dice, into): ...
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

STATES_A_MOMENT = 12


class Tree(NamedTuple):
    """A folder by inodes, as a file system knows it: names in folders, bytes in files."""

    root: int
    names: dict[int, dict[str, int]]
    content: dict[int, bytes]

    def copy(self) -> "Tree":
        return Tree(self.root, {inode: dict(names) for inode, names in self.names.items()}, dict(self.content))


class Moment(NamedTuple):
    """Before one operation: what every process sees, what is certain, and what `note` told of this moment."""

    note: Any
    now: Tree
    sure: Tree

    def states(self, dice: random.Random, into: Path) -> Iterator[Path]:
        """Folders as the disk may be found: at first with all lost that may be lost, then as the dice fall."""
        for number in range(STATES_A_MOMENT):
            shutil.rmtree(into, ignore_errors=True)
            self._write(self.sure.root, into, (lambda: 0.0) if number == 0 else dice.random)
            yield into

    def _write(self, inode: int, path: Path, throw: Callable[[], float]) -> None:
        if inode not in self.now.names and inode not in self.sure.names:
            path.write_bytes(self._content(inode, throw))
            return
        path.mkdir()
        sure, now = self.sure.names.get(inode, {}), self.now.names.get(inode, {})
        for name in sorted(sure.keys() | now.keys()):
            chosen = sure.get(name) if throw() < 0.5 else now.get(name)
            if chosen is not None:
                self._write(chosen, path / name, throw)

    def _content(self, inode: int, throw: Callable[[], float]) -> bytes:
        sure = self.sure.content.get(inode, b"")
        now = self.now.content.get(inode, sure)
        if sure == now:
            return sure
        return (sure, now, now[: len(now) // 2], bytes(len(now)))[int(throw() * 4)]


class Recorder:
    """Within the block, what happens below `root` is recorded. What is there before is certain."""

    OPERATIONS = ("fsync", "rename", "replace", "unlink", "remove", "rmdir", "link")

    def __init__(self, root: Path, note: Callable[[], Any] = lambda: None) -> None:
        self.root, self.note = root, note
        self.moments: list[Moment] = []
        self._held: dict[int, int] = {}
        self._real = {name: getattr(os, name) for name in self.OPERATIONS}

    def __enter__(self) -> "Recorder":
        self.sure = _tree_of(self.root)
        self._hold()
        for name in self.OPERATIONS:
            setattr(os, name, self._recorded(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)
        self._look()
        for descriptor in self._held.values():
            os.close(descriptor)

    def _recorded(self, name: str) -> Callable[..., Any]:
        def operate(*arguments: Any, **options: Any) -> Any:
            self._look()
            answer = self._real[name](*arguments, **options)
            if name == "fsync":
                self._settle(os.fstat(arguments[0]).st_ino)
            return answer

        return operate

    def _look(self) -> None:
        self.moments.append(Moment(self.note(), _tree_of(self.root), self.sure.copy()))
        self._hold()

    def _hold(self) -> None:
        """Keep each inode that was seen open. Its number would else be given to the next new file, for which what was
        certain of the deleted one would then be taken: ext4 does so at once, unless another process was quicker."""
        for path in (self.root, *self.root.rglob("*")):
            inode = path.lstat().st_ino
            if inode not in self._held:
                self._held[inode] = os.open(path, os.O_PATH | os.O_NOFOLLOW)

    def _settle(self, inode: int) -> None:
        now = _tree_of(self.root)
        if inode in now.names:
            self.sure.names[inode] = dict(now.names[inode])
            for child in now.names[inode].values():
                # A name that is certain leads somewhere, be it to an empty folder.
                if child in now.names:
                    self.sure.names.setdefault(child, {})
        elif inode in now.content:
            self.sure.content[inode] = now.content[inode]


def _tree_of(root: Path) -> Tree:
    names: dict[int, dict[str, int]] = {}
    content: dict[int, bytes] = {}
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]:
        children = {path.name: path.stat().st_ino for path in folder.iterdir() if not path.is_symlink()}
        names[folder.stat().st_ino] = children
        content |= {children[path.name]: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return Tree(root.stat().st_ino, names, content)
