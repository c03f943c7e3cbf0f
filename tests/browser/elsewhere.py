"""Another site: pages that a stranger made. ``127.0.0.1`` is another site than ``localhost``."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Elsewhere(ThreadingHTTPServer):
    """Serves whatever a test puts up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, str] = {}
        self.redirects: dict[str, str] = {}

    def page(self, path: str, body: str, head: str = "") -> str:
        """Put up a page; returns its address."""
        self.pages[path] = f"<!doctype html><html><head><title>Elsewhere</title>{head}</head><body>{body}</body></html>"
        return f"{self.url}{path}"

    def redirect(self, path: str, target: str) -> str:
        """Put up a redirect; returns its address."""
        self.redirects[path] = target
        return f"{self.url}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        location, page = self.server.redirects.get(self.path), self.server.pages.get(self.path)
        self.send_response(302 if location else 200 if page else 404)
        if location:
            self.send_header("Location", location)
        body = (page or "").encode()
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Elsewhere]:
    """A server of strangers' pages, for the length of the block."""
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
