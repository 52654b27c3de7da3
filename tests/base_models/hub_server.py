"""A Hub on this machine that speaks the protocol as huggingface_hub asks for it, and can be made to misbehave.

Files up to a limit are git's own; larger ones are redirected to a store, as the real one does with signed addresses.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SMALL = 10_000
TINY, TOKEN = "acme/tiny", "hf_opens_sesame"
GB = 1_000_000_000


@dataclass
class Repo:
    """One model. `token`: what opens it; with `is_gated` its name and files are told to all, its content is not."""

    files: dict[str, bytes | Path]
    card: dict[str, Any] = field(default_factory=lambda: {"license": "apache-2.0"})
    token: str = ""
    is_gated: bool = False

    @property
    def commit(self) -> str:
        names = "".join(f"{name}{len(self.content(name))}" for name in sorted(self.files))
        return hashlib.sha1(names.encode()).hexdigest()

    def content(self, name: str) -> bytes:
        content = self.files[name]
        return content.read_bytes() if isinstance(content, Path) else content


class Hub:
    """`cut_at`: the first answer of the store ends there. `stall_at`: every one stops there until `go_on`."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.revoked: set[str] = set()
        self.cut_at: int | None = None
        self.stall_at: int | None = None
        self.status = 0
        """What every question is answered with, if not 0."""
        self.go_on, self.stalled = threading.Event(), threading.Event()
        self.asked: list[tuple[str, str, str]] = []
        """Path, Range and Authorization of each GET and HEAD."""
        self.server = _server(_HubHandler, self)
        self.store = _server(_StoreHandler, self)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, hub_id: str, folder: Path, **fields: Any) -> Repo:
        files: dict[str, bytes | Path] = {path.name: path for path in folder.iterdir()}
        self.repos[hub_id] = Repo(files, **fields)
        return self.repos[hub_id]

    def ranges_of(self, name: str) -> list[str]:
        """The Range of each request to the store for this file, empty where there was none."""
        return [asked for path, asked, _token in self.asked if path.startswith("/store/") and path.endswith(f"/{name}")]


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    servers = (hub.server, hub.store)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def note(self) -> str:
        """The path asked for, without what stands behind a question mark."""
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((path, self.headers.get("Range") or "", self.headers.get("Authorization") or ""))
        return path

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.get("Length") or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str = "", message: str = "") -> None:
        self.answer(status, b"{}", **({"X_Error_Code": code} if code else {}), X_Error_Message=message or "no")

    def log_message(self, *_words: object) -> None:
        """Quiet."""


class _HubHandler(_Handler):
    def do_GET(self) -> None:
        path = self.note()
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.hub.status:
            return self.refuse(self.hub.status)
        if token and token in self.hub.revoked:
            return self.refuse(401, message="Invalid credentials in Authorization header")
        if path.startswith("/api/models/"):
            return self.tell(path.removeprefix("/api/models/"), token)
        return self.resolve(path.lstrip("/"), token)

    do_HEAD = do_GET

    def tell(self, asked: str, token: str) -> None:
        hub_id, _, revision = asked.partition("/revision/")
        repo = self.hub.repos.get(hub_id)
        if repo is None or (repo.token and not repo.is_gated and token != repo.token):
            return self.refuse(401 if not token else 404, "RepoNotFound")
        if revision and revision not in ("main", repo.commit):
            return self.refuse(404, "RevisionNotFound")
        siblings = [_sibling(name, repo.content(name)) for name in repo.files]
        said = {
            "id": hub_id, "modelId": hub_id, "sha": repo.commit, "private": bool(repo.token) and not repo.is_gated,
            "gated": "manual" if repo.is_gated else False, "tags": [], "downloads": 0, "likes": 0,
            "cardData": repo.card, "siblings": siblings, "safetensors": {"parameters": {"F32": 10}, "total": 10},
        }  # fmt: skip
        return self.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def resolve(self, path: str, token: str) -> None:
        hub_id, _, rest = path.partition("/resolve/")
        commit, _, name = rest.partition("/")
        repo = self.hub.repos.get(hub_id)
        if repo is None or (repo.token and not repo.is_gated and token != repo.token):
            return self.refuse(404, "RepoNotFound")
        if repo.is_gated and token != repo.token:
            return self.refuse(403 if token else 401, "GatedRepo")
        if commit != repo.commit or name not in repo.files:
            return self.refuse(404, "EntryNotFound")
        content = repo.content(name)
        known = {"X_Repo_Commit": commit, "ETag": f'"{_sibling(name, content)["blobId"]}"'}
        if len(content) <= SMALL:
            return self.answer(200, content, **known)
        linked = {"X_Linked_Size": str(len(content)), "X_Linked_ETag": f'"{_sha256(content)}"'}
        place = f"http://127.0.0.1:{self.hub.store.server_port}/store/{hub_id}/{name}?signature=secret"
        return self.answer(302, **known, **linked, Location=place)


class _StoreHandler(_Handler):
    def do_GET(self) -> None:
        path = self.note().removeprefix("/store/")
        hub_id, _, name = path.rpartition("/")
        content = self.hub.repos[hub_id].content(name)
        asked = self.headers.get("Range") or ""
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.send(content, begin)

    def send(self, content: bytes, begin: int) -> None:
        if self.hub.cut_at is not None:
            end, self.hub.cut_at = self.hub.cut_at, None
            self.wfile.write(content[begin:end])
            self.close_connection = True
            return
        if (stall_at := self.hub.stall_at) is not None:
            self.wfile.write(content[begin:stall_at])
            self.wfile.flush()
            self.hub.stalled.set()
            self.hub.go_on.wait(60)
            begin = max(begin, stall_at)
        self.wfile.write(content[begin:])


def _server(handler: type[_Handler], hub: Hub) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"hub": hub}))


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    """As the Hub lists a file: by git's checksum, and a large one by its sha256 too."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    said: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) > SMALL:
        said["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 130}
    return said


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
