"""A mirror of MNIST on this machine, as well or as badly behaved as a test wants it."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from numpy_nn.commands.fetch_mnist.command import FILES

CONTENTS = {name: f"the content of {name}".encode() * 100 for name in FILES}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


class Server(ThreadingHTTPServer):
    """A mirror on this machine: sends ``replies``, NAME.gz to body, and notes what it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}
        self.asked: list[str] = []
        self.redirect: str | None = None
        # Sends headers for ever.
        self.dribbles = False
        # Called after each piece of a body, and bytes in a piece.
        self.pause: Callable[[], object] = lambda: None
        self.piece = 1 << 16

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up: it is what they are tested for."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path[1:]
        self.server.asked.append(name)
        if self.server.redirect is not None:
            self.send_response(302)
            self.send_header("Location", self.server.redirect + name)
            self.end_headers()
            return
        if self.server.dribbles:
            self.send_response(200)
            self.flush_headers()
        while self.server.dribbles:
            self.wfile.write(b"X")
            time.sleep(0.05)
        body = self.server.replies.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), self.server.piece):
            self.wfile.write(body[start : start + self.server.piece])
            self.server.pause()

    def log_message(self, *_: object) -> None:
        """Write no log."""
