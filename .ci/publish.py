"""Run chapters in full from a fresh kernel and store their outputs: `make publish`.

    python .ci/publish.py                     every chapter
    python .ci/publish.py 08_fashion_mnist    this one

The notebook is replaced only by a run that has nothing to complain about.
"""

import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time

import gather
import nbformat
import notebooks
import torch
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

# What a run depends on, but for the table of networks that the runs themselves write.
CODE = ["helpers", ":!helpers/networks.json", "requirements.txt"]


def main(names: list[str]) -> int:
    paths = notebooks.chapters()
    if unknown := set(names) - {path.stem for path in paths}:
        print(f"No such chapter: {', '.join(sorted(unknown))}")
        return 2
    if gather.main([]):
        print("Nothing was run: an output has to come from committed code.")
        return 1
    failed = [
        path.stem
        for path in paths
        if (not names or path.stem in names) and not run(path)
    ]
    return 1 if failed else 0


def run(path) -> bool:
    notebook = notebooks.read(path)
    commit = commit_of(path)
    os.environ["TQDM_DISABLE"] = "1"  # progress bars are for people who watch
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=None,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
        except CellExecutionError as error:
            print(f"{path.stem}: {error}")
            return False
    notebook.metadata["book"] = {
        "code_digest": notebooks.code_digest(notebook),
        "commit": commit,
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "seconds": round(time.perf_counter() - began),
        "torch": torch.__version__,
    }
    notebooks.normalise(notebook)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)
    if found := notebooks.complaints(notebook):
        print("\n".join(f"{path.stem}: {line}" for line in found))
        aside = notebooks.ROOT / "_build" / "rejected" / path.name
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text + "\n", encoding="utf-8")
        print(f"{path.stem}: not stored; the run is kept in {aside}")
        return False
    path.write_text(text + "\n", encoding="utf-8")
    gather.store_rows()
    seconds = notebook.metadata["book"]["seconds"]
    print(f"{path.stem}: {seconds} s, {len(text) / 1e6:.2f} MB")
    return True


def commit_of(path) -> str:
    """Return the commit; a `+` behind it: what is about to run is not all in it."""
    changed = git("status", "--porcelain", "--", *CODE, str(path))  # new files, too
    return git("rev-parse", "HEAD") + ("+" if changed else "")


def device() -> str:
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        name = torch.cuda.get_device_name() if kind == "cuda" else kind
        return f"one {name}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU"


def git(*arguments: str) -> str:
    command = ["git", "-C", notebooks.ROOT, *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
