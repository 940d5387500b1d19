"""What the publish command and the tests both know about a chapter's notebook."""

import hashlib
import io
import re
import tokenize
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
GLUED = "application/papermill.record/text/plain"
# A path of the machine that ran the notebook, in an output that readers see.
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:root|home|tmp|work|Users|content)/")


def chapters() -> list[Path]:
    """Return every notebook of the book, in reading order."""
    return sorted((ROOT / "chapters").glob("*.ipynb"))


def repository_url() -> str:
    """Return the address that stands in _config.yml, its one place."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def title(notebook) -> str:
    """Return the first heading."""
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.search(r"^# (.+)$", "\n".join(prose), re.M)[1]


def code_cells(notebook) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_digest(notebook) -> str:
    """Return the SHA-256 of all code but for comments and the book's own address.

    Prose may change without a new run, and so may the place of the repository.
    """
    cells = (without_comments(cell.source) for cell in code_cells(notebook))
    code = "\0".join(cells).replace(repository_url(), "")
    return hashlib.sha256(code.encode()).hexdigest()


def without_comments(code: str) -> str:
    lines = code.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def normalise(notebook) -> None:
    """Remove what differs between two equal runs, and what no page can use."""
    keep = {"kernelspec", "book", "description"}
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in keep}
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03}"
        cell.source = cell.source.strip("\n")
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            _clean_outputs(cell)


def _clean_outputs(cell) -> None:
    outputs = []
    # Numbers kept for the prose are invisible: last, so that printed lines join up.
    glued = [o for o in cell.outputs if "scrapbook" in o.get("metadata", {})]
    for output in [o for o in cell.outputs if o not in glued] + glued:
        data = output.get("data", {})
        if WIDGET in data and "text/html" not in data:
            continue  # a progress bar
        data.pop(WIDGET, None)  # it needs the kernel that made it; the HTML does not
        same = outputs and outputs[-1].output_type == "stream" == output.output_type
        if same and outputs[-1].name == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)
    cell.outputs = outputs


def complaints(notebook) -> list[str]:
    """Say what a stored notebook may not have."""
    found = []
    counts = [c.execution_count for c in code_cells(notebook) if c.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"not run in order from a fresh kernel: {counts}")
    for cell in code_cells(notebook):
        for output in cell.outputs:
            where = f"cell {cell.execution_count}"
            data = output.get("data", {})
            text = output.get("text", "") + data.get("text/plain", "")
            if output.output_type == "error":
                found.append(f"{where} failed: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"{where} wrote to stderr: {output.text[:200]}")
            if MACHINE_PATH.search(text + data.get("text/html", "")):
                found.append(f"{where} shows a path of this machine: {text[:200]}")
            if WIDGET in data:
                found.append(f"{where} stores a widget that needs its kernel")
            if re.search(r"\bnan\b", data.get(GLUED, "")):
                found.append(f"{where} quotes a number that is none: {data[GLUED]}")
            if "Stand-in data" in text:
                found.append(f"{where} used stand-in data")
            image = cell.metadata.get("mystnb", {}).get("image", {})
            if any(kind.startswith("image/") for kind in data) and not image.get("alt"):
                found.append(f"{where} has a picture without alternative text")
    return found
