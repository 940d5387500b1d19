"""Stand-in images, drawn by code in the files and formats of the real data sets.

They let tests and machines with no network run every chapter. Each class is a pattern
of soft blobs; each image is that pattern moved, brightened and sprinkled with noise:
easy to learn, impossible to mistake for the real thing.
"""

import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import datasets

TRAIN, TEST = 512, 256
_IDX = {"FashionMNIST": 0, "MNIST": 1}  # a seed each


def write(name: str, root: Path) -> None:
    """Write the stand-in of a data set below ``root``, as torchvision expects it."""
    if name in _IDX:
        for stem, count in [("train", TRAIN), ("t10k", TEST)]:
            images, labels = draw(count, 10, 28, 1, seed=(_IDX[name], count))
            raw = root / name / "raw"
            raw.mkdir(parents=True, exist_ok=True)
            head = struct.pack(">iiii", 0x803, count, 28, 28)
            (raw / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
            head = struct.pack(">ii", 0x801, count)
            body = labels.astype(np.uint8).tobytes()
            (raw / f"{stem}-labels-idx1-ubyte").write_bytes(head + body)
    elif name == "CIFAR10":
        _write_cifar(root / datasets.CIFAR10.base_folder)
    elif name == "dogscats":
        _write_dogscats(root / name)
    else:
        _write_photos(root / name)


def draw(
    count: int, classes: int, size: int, channels: int, seed, first: int = 0
) -> tuple:
    """Draw ``count`` images: uint8 (N, H, W, C), and their labels, int64 (N,).

    The labels start at 0, the patterns at number ``first``.
    """
    patterns = np.stack([_pattern(first + c, size, channels) for c in range(classes)])
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    images = patterns[labels] * rng.uniform(0.7, 1.0, (count, 1, 1, 1))
    for image, (down, right) in zip(
        images, rng.integers(-2, 3, (count, 2)), strict=True
    ):
        image[:] = np.roll(image, (down, right), (0, 1))
    images += rng.normal(0, 0.06, images.shape)
    return (images.clip(0, 1) * 255).astype(np.uint8), labels


def _pattern(label: int, size: int, channels: int) -> np.ndarray:
    """Draw three blobs, always the same for a class: float (H, W, C) from 0 to 1."""
    rng = np.random.default_rng((label, 7))
    y, x = np.mgrid[0 : 1 : 1j * size, 0 : 1 : 1j * size]
    pattern = np.zeros((size, size, channels))
    for _ in range(3):
        cy, cx, height, width = *rng.uniform(0.25, 0.75, 2), *rng.uniform(0.06, 0.2, 2)
        blob = np.exp(-(((y - cy) / height) ** 2) - ((x - cx) / width) ** 2)
        pattern += blob[..., None] * rng.uniform(0.4, 1.0, channels)
    return pattern.clip(0, 1)


def without_digests(dataset_class: type) -> type:
    """Return the torchvision class, told not to compare stand-ins with real digests."""
    if dataset_class is not datasets.CIFAR10:
        return dataset_class
    return type(
        dataset_class.__name__,
        (dataset_class,),
        {
            "train_list": [(file, None) for file, _ in dataset_class.train_list],
            "test_list": [(file, None) for file, _ in dataset_class.test_list],
            "meta": {**dataset_class.meta, "md5": None},
        },
    )


CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]
CIFAR10_CLASSES += ["dog", "frog", "horse", "ship", "truck"]


def _write_cifar(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = draw(TRAIN + TEST, 10, 32, 3, seed=2)
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    parts = np.array_split(np.arange(TRAIN), 5)
    batches = {f"data_batch_{i}": part for i, part in enumerate(parts, 1)}
    batches["test_batch"] = np.arange(TRAIN, TRAIN + TEST)
    for name, rows in batches.items():
        entry = {"data": flat[rows], "labels": labels[rows].tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
    meta = pickle.dumps({"label_names": CIFAR10_CLASSES})
    (folder / datasets.CIFAR10.meta["filename"]).write_bytes(meta)


def _write_photos(folder: Path) -> None:
    for split, count in [("train", 32), ("val", 16)]:
        images, labels = draw(count, 2, 96, 3, seed=(3, count))
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / split / ("ants", "bees")[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number:03}.jpg", quality=90)


def _write_dogscats(folder: Path) -> None:
    """Write photos of three shapes: in the real set, too, hardly two have one size."""
    images, labels = draw(80, 2, 96, 3, seed=4, first=2)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        kind = ("cat", "dog")[label]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        cut = Image.fromarray(image[: 96 - 8 * (number % 3)])
        cut.save(folder / kind / f"{kind}.{number}.jpg", quality=90)
