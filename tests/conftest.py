import ast
import contextlib
import functools
import http.server
import sys
import threading
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ci"))
mpl.use("Agg")


class ByFile(LoadScopeScheduling):
    """Give every file to one process, but a chapter on Colab to whichever is free.

    These take half a minute each and share nothing but an environment of links.
    """

    def _split_scope(self, nodeid):
        file, _, _ = nodeid.partition("::")
        return nodeid if file.endswith("test_colab.py") else file


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)


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


def definitions(source):
    """Return the functions and classes in some code, by name, as they run.

    Without docstrings and annotations, so that a chapter's code can be compared with
    that of the helper that it shows.
    """
    found = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef):
                part.returns = None
                arguments = part.args
                for argument in [*arguments.args, *arguments.kwonlyargs]:
                    argument.annotation = None
                if arguments.vararg:
                    arguments.vararg.annotation = None
            if isinstance(part, ast.FunctionDef | ast.ClassDef):
                part.body = part.body[bool(ast.get_docstring(part)) :]
        found[node.name] = ast.unparse(node)
    return found


def code_of(chapter):
    """Return the code of a chapter, all cells but the Colab set-up, as one text."""
    notebook = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", 4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return "\n\n".join(cell for cell in cells if "%pip" not in cell)


def from_chapter(chapter, wanted):
    """Return what a chapter defines under these names, ready to be used.

    It finds what the chapter's own import statements bring, and each other.
    """
    names = {}
    for node in ast.parse(code_of(chapter)).body:
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
        else:
            name = getattr(node, "name", None)
        if isinstance(node, ast.Import | ast.ImportFrom) or name in wanted:
            code = ast.Module([node], type_ignores=[])
            exec(compile(code, chapter, "exec"), names)
    assert set(wanted) <= names.keys()
    return names
