"""Gather what the chapters define for one another into helpers/networks.py.

    python .ci/gather.py          write the module anew
    python .ci/gather.py --check  only say whether it is what the chapters define

A cell with the tag ``export`` holds definitions and nothing else. The chapter stays
the one source: edit the cell, never the module.
"""

import ast
import json
import subprocess
import sys

import notebooks

from helpers import networks_table

MODULE = notebooks.ROOT / "helpers" / "networks.py"
HEADER = '''"""The networks of the book, gathered from the chapters that teach them.

Written by ``.ci/gather.py`` out of the cells with the tag ``export``; a test keeps the
two equal. Edit the chapter, not this file.
"""

import copy
import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

'''


def main(arguments: list[str]) -> int:
    current = MODULE.read_text(encoding="utf-8") if MODULE.exists() else ""
    text = module()
    if text == current:
        return 0
    print("helpers/networks.py is not what the chapters define.")
    if "--check" not in arguments:
        MODULE.write_text(text, encoding="utf-8")
        print("It has been written anew: look at it and commit it.")
    return 1


def module(paths=None) -> str:
    """Return the text of the module, in the order of the chapters.

    Raises:
        ValueError: a cell does more than define, or a name is defined twice.
    """
    parts, homes = [HEADER], {}
    for path in paths or notebooks.chapters():
        notebook = notebooks.read(path)
        cells = [
            cell.source
            for cell in notebooks.code_cells(notebook)
            if "export" in cell.metadata.get("tags", [])
        ]
        for source in cells:
            for name in defined_names(source, path.stem):
                if name in homes:
                    where = f"{homes[name]} and in {path.stem}"
                    raise ValueError(f"{name} is defined twice: in {where}")
                homes[name] = path.stem
        if cells:
            title = notebooks.title(notebook)
            head = f"# --- taught in chapters/{path.stem}.ipynb, “{title}” "
            parts.append("\n".join(["", head.ljust(88, "-"), ""]))
            parts += cells
    return ruff(["check", "--fix-only", "--select", "F401,I"], "\n\n".join(parts))


def defined_names(source: str, chapter: str) -> list[str]:
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.append(node.targets[0].id)
        else:
            line = ast.unparse(node).splitlines()[0]
            raise ValueError(f"{chapter}: an export cell may only define: {line}")
    return names


def rows(notebook) -> list[dict]:
    """Return the table of networks as a chapter stored it; empty if it has none."""
    for cell in notebooks.code_cells(notebook):
        for output in cell.outputs:
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name == networks_table.ROWS:
                return json.loads(output.data[notebooks.GLUED])
    return []


def store_rows() -> None:
    """Write helpers/networks.json: of every chapter, the rows that it added."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows_of_all_chapters()]
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    networks_table.STORE.write_text(text, encoding="utf-8")


def rows_of_all_chapters() -> list[dict]:
    found = []
    for path in notebooks.chapters():
        table = rows(notebooks.read(path))
        number = int(path.stem[:2])
        found += [row for row in table if row["chapter"] == number]
    return found


def ruff(check: list[str], text: str) -> str:
    for command in (check, ["format"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", MODULE, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=notebooks.ROOT,
        )
        text = done.stdout
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
