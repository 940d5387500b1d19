"""Measure this machine: `make bench`. Ratios and medians of paired runs, as one table.

input pipeline   one epoch of the six-recipe MLP fed by each pipeline, over the same
                 steps on one resident batch (the limit)
augmentation     images a second, 32 x 32, shift and mirror per image
site             seconds for a build from nothing, and again with nothing changed
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import v2

from helpers.data import DataError, ImageSet, RandomCropFlip, fetch, make_loader
from helpers.training import pick_device, train_epoch

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 3


def timed(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def pipelines() -> dict[str, float]:
    """Return each pipeline's epoch time over the limit, the median of paired runs."""
    root = fetch("FashionMNIST")
    scale = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    )
    per_image = datasets.FashionMNIST(root, transform=v2.Compose([v2.ToImage(), scale]))
    in_memory = ImageSet.decode(per_image, scale)
    device = pick_device()
    resident = [x.to(device) for x in in_memory[list(range(64))]]
    loaders = {
        "in memory, by batch": make_loader(in_memory.to(device), 64, shuffle=True),
        "torchvision, image by image": DataLoader(per_image, 64, shuffle=True),
    }
    ratios = {name: [] for name in loaders}
    for _ in range(REPEATS):
        for name, loader in loaders.items():
            limit = timed(lambda: epoch([resident] * len(loader), device))  # noqa: B023
            ratios[name].append(timed(lambda: epoch(loader, device)) / limit)  # noqa: B023
    return {name: statistics.median(values) for name, values in ratios.items()}


def epoch(batches, device) -> None:
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    train_epoch(model, batches, nn.CrossEntropyLoss(), optimizer)


def augmentation() -> float:
    images = torch.randint(256, (1024, 3, 32, 32), dtype=torch.uint8)
    crop = RandomCropFlip(4)
    crop(images)
    seconds = [timed(lambda: crop(images)) for _ in range(50)]
    return len(images) / statistics.median(seconds)


def site() -> tuple[float, float]:
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    with tempfile.TemporaryDirectory() as folder:
        command = [jupyter_book, "build", ROOT, "--path-output", folder, "-q"]

        def build():
            subprocess.run(command, check=True, capture_output=True)

        return timed(build), timed(build)


def main() -> None:
    rows = {}
    try:
        for name, ratio in pipelines().items():
            rows[f"input pipeline over the limit: {name}"] = round(ratio, 2)
    except DataError as error:
        print(f"The input pipeline was not measured.\n{error}\n")
    rows["augmentation, images a second"] = round(augmentation(), -3)
    cold, warm = site()
    rows["site build from nothing, s"] = round(cold, 1)
    rows["site build, nothing changed, s"] = round(warm, 1)
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:>10,}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
