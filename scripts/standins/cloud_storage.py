"""Cloud Storage on loopback, in memory: the PyPI package gcp-storage-emulator, made stricter.

    STORAGE_EMULATOR_HOST=http://127.0.0.1:9199        points Google's clients to it

The emulator of firebase-tools needs a jar that is not always available. This package speaks the
JSON API of Cloud Storage. Here it gets what it lacks and we depend on:

  * an upload session takes exactly the length that it was opened for, and does not overwrite an
    object (`ifGenerationMatch=0`);
  * web pages can upload to it (CORS), as to a bucket that was set up as docs/operations.md says;
  * Firebase's client SDKs can read from it, held to functions/storage.rules (`firebase_storage`);
  * a file's name may have any characters;
  * a slow reader does not keep the others waiting.

The JSON API authenticates nobody: only servers use it, and they are not held to the rules.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from scripts.standins.firebase_storage import FirebaseStorage
from scripts.standins.server import add_address_options
from scripts.standins.storage_rules import StorageRules, UnknownRule

DEFAULT_PORT = 9199
METHODS = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"
HEADERS = (
    "Authorization, Content-Type, Content-Range, X-Firebase-AppCheck, X-Firebase-GMPID, "
    "X-Firebase-Storage-Version"
)


class Handler(RequestHandler):  # type: ignore[misc]  # it ships no types
    """The package's handler, with the additions above."""

    storage: Storage

    def __init__(self, storage: Storage, clients: FirebaseStorage, *args: Any) -> None:
        self._clients = clients
        super().__init__(storage, *args)

    def do_GET(self) -> None:  # noqa: N802
        self._unless_a_clients(super().do_GET)

    def do_PATCH(self) -> None:  # noqa: N802
        self._unless_a_clients(super().do_PATCH)

    def do_DELETE(self) -> None:  # noqa: N802
        self._unless_a_clients(super().do_DELETE)

    def do_PUT(self) -> None:  # noqa: N802
        self._unless_a_clients(partial(self._unless_refused, super().do_PUT))

    def do_POST(self) -> None:  # noqa: N802
        self._unless_a_clients(partial(self._unless_refused, super().do_POST))

    def do_OPTIONS(self) -> None:  # noqa: N802
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", METHODS)
        self.send_header("Access-Control-Allow-Headers", HEADERS)
        self.send_header("Access-Control-Max-Age", "3600")
        self.end_headers()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.startswith("x-goog-meta-") and not value.isascii():
            return  # the package fails at it, and our clients read names from the JSON
        super().send_header(keyword, value)

    def end_headers(self) -> None:
        if origin := self.headers.get("Origin"):
            self.send_header("Access-Control-Allow-Origin", origin)
        super().end_headers()

    def _unless_a_clients(self, respond: Callable[[], None]) -> None:
        """Answer a request of a client SDK, or have another one answered."""
        answer = self._clients.answer(self.command, self.path, self.headers)
        if answer is None:
            respond()
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def _unless_refused(self, respond: Callable[[], None]) -> None:
        refused = self._refusal()
        if refused is None:
            respond()
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(refused)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refusal(self) -> HTTPStatus | None:
        """Return the status of a refusal that the package lacks."""
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        session = self.storage.resumable.get(query.get("upload_id", ""))
        if session is None:
            return None
        objects = self.storage.objects.get(session["bucket"], {})
        if query.get("ifGenerationMatch") == "0" and session["name"] in objects:
            return HTTPStatus.PRECONDITION_FAILED
        opened_for = session.get("size")
        if opened_for and opened_for != self.headers.get("Content-Length"):
            return HTTPStatus.BAD_REQUEST
        return None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing, because the URL of an upload is as good as a key."""


class Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.standins.cloud_storage",
        description="Cloud Storage on loopback, in memory.",
    )
    add_address_options(parser, default_port=DEFAULT_PORT)
    parser.add_argument("--bucket", required=True, help="the bucket to create")
    parser.add_argument("--project", required=True, help="the project whose users sign in")
    parser.add_argument("--rules", required=True, type=Path, help="the file of security rules")
    options = parser.parse_args()
    try:
        rules = StorageRules.parse(options.rules.read_text("utf-8"))
    except UnknownRule as error:
        sys.exit(f"Cloud Storage emulator: {options.rules} has a rule it doesn't know: {error}")
    storage = Storage(use_memory_fs=True)
    create_bucket(options.bucket, storage)
    try:
        clients = FirebaseStorage(storage, rules, options.project)
        with Server((options.host, options.port), partial(Handler, storage, clients)) as server:
            line = f"Cloud Storage (in memory, not Google's): http://{options.host}"
            print(f"{line}:{server.server_port}, bucket {options.bucket}", flush=True)
            server.serve_forever()
    except OSError as error:
        sys.exit(f"Cloud Storage emulator: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
