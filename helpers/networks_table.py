"""The table of networks that grows from chapter to chapter.

Each chapter of the part on architectures adds its rows; the publish command keeps them
in ``networks.json``, from which the next chapter takes them. First used in "Why
convolutions".
"""

import json
import math
import statistics
from pathlib import Path

import pandas as pd
from IPython.display import display

from helpers.notebook import GLUE_MIME_PREFIX

STORE = Path(__file__).with_name("networks.json")
ROWS = "networks_so_far"  # the name under which a chapter stores the rows
FIELDS = (
    "network",
    "year",
    "parameters",
    "multiply_adds",
    "imagenet_top1",
    "cifar10",
    "budget",
)


def networks_so_far(chapter: int, rows: list[dict]) -> pd.DataFrame:
    """Return the table of all networks of the book up to this chapter, as text.

    Args:
        chapter: the number of this chapter. The rows of earlier chapters are those of
            the book's published run.
        rows: dictionaries with the keys ``network``; ``year`` or None; ``parameters``;
            ``multiply_adds`` for one image; ``imagenet_top1`` in percent or None;
            ``cifar10``, a list of test accuracies in percent, one per seed, or None;
            ``budget``, the images and passes behind them, or None.

    Raises:
        ValueError: a row has other keys.
    """
    for row in rows:
        if set(row) != set(FIELDS):
            raise ValueError(f"a row needs the keys {FIELDS}; this one has {row}")
    every = [row for row in stored_rows() if row["chapter"] < chapter]
    every += [{"chapter": chapter, **row} for row in rows]
    display(  # unseen; the publish command takes this chapter's rows out of it
        {f"{GLUE_MIME_PREFIX}text/plain": json.dumps(every)},
        raw=True,
        metadata={"scrapbook": {"name": ROWS, "mime_prefix": GLUE_MIME_PREFIX}},
    )
    return pd.DataFrame(
        {
            "parameters": [_short(row["parameters"]) for row in every],
            "ImageNet, %": [_percent(row["imagenet_top1"]) for row in every],
            "CIFAR-10, %": [_mean_and_sd(row["cifar10"]) for row in every],
            "images × passes": [row["budget"] or "" for row in every],
            "multiply-adds": [_short(row["multiply_adds"]) for row in every],
            "year": [row["year"] or "" for row in every],
        },
        index=pd.Index([row["network"] for row in every], name="network"),
    )


def stored_rows() -> list[dict]:
    """Return the rows of all published chapters."""
    if not STORE.exists():
        return []
    return json.loads(STORE.read_text(encoding="utf-8"))


def _mean_and_sd(accuracies: list[float] | None) -> str:
    if not accuracies:
        return ""
    if len(accuracies) == 1:
        return f"{accuracies[0]:.1f}"
    spread = statistics.stdev(accuracies)
    return f"{statistics.mean(accuracies):.1f} ± {spread:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _short(count: int) -> str:
    """Write 61,100,840 as 61.1 M: three digits and a letter."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            digits = max(0, 2 - int(math.log10(count / size)))
            return f"{count / size:.{digits}f} {letter}"
    return str(count)
