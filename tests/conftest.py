import contextlib
import functools
import http.server
import sys
import threading
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ci"))
mpl.use("Agg")


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder, in place of the one of this machine."""
    folder = tmp_path / "data"
    monkeypatch.setenv("BOOK_DATA", str(folder))
    return folder


@contextlib.contextmanager
def serve(folder):
    """Serve a folder on this machine; give the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
