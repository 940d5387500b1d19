"""The road of a reader who presses "Open in Colab", walked in a stand-in for Colab.

A fresh environment has torch, torchvision, matplotlib, ipywidgets and what else Colab
brings, but not the book; ``google.colab`` is a stub. The notebook is the one that the
Colab button opens; its own set-up cell installs the book, from a clone on this machine
instead of GitHub and with no package index to fall back on.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import notebooks
import papermill
import pytest
from colab_edition import edition
from packaging.requirements import Requirement

from tests import quick
from tests.test_chapters import tracked_files

ROOT = Path(__file__).resolve().parent.parent
WHEELHOUSE = Path(sys.prefix) / "wheelhouse"
COLAB_HAS = [
    "torch", "torchvision", "matplotlib", "ipywidgets", "ipykernel", "numpy", "pandas",
    "scikit-learn", "tqdm", "platformdirs", "pillow", "packaging", "pip",
]  # fmt: skip


def closure(names):
    """Return the distributions that these need, themselves included."""
    wanted, found, seen = [Requirement(name) for name in names], {}, set()
    while wanted:
        requirement = wanted.pop()
        if (key := (requirement.name, tuple(sorted(requirement.extras)))) in seen:
            continue
        seen.add(key)
        distribution = importlib.metadata.distribution(requirement.name)
        found[distribution.metadata["Name"]] = distribution
        for needed in map(Requirement, distribution.requires or []):
            extras = ["", *requirement.extras]
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                wanted.append(needed)
    return found


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of the stand-in for Colab."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "env", with_pip=False)
    site = Path(next((folder / "env").glob("lib/python*/site-packages")))
    for distribution in closure(COLAB_HAS).values():
        tops = {Path(file).parts[0] for file in distribution.files}
        for top in tops - {"..", "__pycache__"}:
            source = Path(distribution.locate_file(top))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").write_text("")
    (site / "colab.pth").write_text("import google.colab\n")
    python = folder / "env" / "bin" / "python"
    spec = folder / "env" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    launch = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(
        json.dumps({"argv": launch, "display_name": "Colab", "language": "python"})
    )
    return python


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A git repository of the working tree, as it would be on GitHub."""
    folder = tmp_path_factory.mktemp("clone")
    for path in tracked_files():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return folder


def ask(python, code):
    done = subprocess.run(
        [python, "-c", code], cwd=python.parent, capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr.strip()


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_chapter_runs_on_colab_from_its_own_set_up_cell(
    path, colab, clone, tmp_path, monkeypatch
):
    # The one before may have installed the book; a reader starts without it.
    leave = [colab, "-m", "pip", "uninstall", "-qy", "every-cell-runs"]
    subprocess.run(leave, check=True, capture_output=True)
    where_torch_is = (  # to import it would take seconds, and there are many chapters
        "import importlib.metadata as m, importlib.util as u;"
        "print(m.version('torch'), u.find_spec('torch').origin)"
    )
    before = ask(colab, where_torch_is)
    assert str(colab.parent.parent) in before
    assert "No module named 'helpers'" in ask(colab, "import helpers")

    notebook = edition(notebooks.read(path), f"chapters/{path.stem}")
    for cell in notebooks.code_cells(notebook):
        cell.outputs = []
        cell.source = cell.source.replace(
            f"git+{notebooks.repository_url()}", f"git+file://{clone}"
        )
    opened = tmp_path / "opened.ipynb"
    nbformat.write(notebook, opened)
    empty = tmp_path / "content"
    empty.mkdir()
    monkeypatch.setenv("JUPYTER_PATH", str(colab.parent.parent / "share" / "jupyter"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(WHEELHOUSE))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{colab.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    papermill.execute_notebook(
        opened,
        tmp_path / "done.ipynb",
        quick.PARAMETERS[path.stem],
        cwd=empty,
        kernel_name="python3",
        progress_bar=False,
    )
    assert ask(colab, where_torch_is) == before
    installed = ask(colab, "import helpers; print(helpers.__file__)")
    assert installed.startswith(str(colab.parent.parent))
    assert list(empty.iterdir()) == []
