"""Images on disk, in memory and in batches.

Taught in "Six recipes for Fashion-MNIST", Recipe 1.
"""

import hashlib
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
)
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from helpers import _stand_in


class DataError(RuntimeError):
    """A data set is missing, damaged or unknown; the message says what to do."""


def data_folder() -> Path:
    """Return the one folder where the book keeps its data.

    It is the environment variable ``BOOK_DATA``, else the platform's cache folder (on
    Linux ``~/.cache/every-cell-runs``).
    """
    chosen = os.environ.get("BOOK_DATA", "")
    if chosen and chosen != "stand-in":
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("every-cell-runs", appauthor=False))


def fetch(name: str, stand_in: bool = False) -> Path:
    """Make sure that a data set is on disk and whole; return the folder above it.

    The folder is what torchvision calls ``root``. Files that are there are checked
    against their digests; photos are counted. What is missing or damaged is downloaded
    beside it, checked, and moved in place whole, so that a broken download leaves
    nothing half-made. With the files in place no network is needed. Taught in "Six
    recipes", Recipe 1.

    Args:
        name: ``"FashionMNIST"``, ``"MNIST"``, ``"CIFAR10"``, ``"hymenoptera_data"``
            (ants and bees) or ``"dogscats"``.
        stand_in: use a few hundred images drawn by code instead of the real ones.
            ``BOOK_DATA=stand-in`` in the environment asks for the same. Nothing else
            ever does: real data that cannot be had is an error.

    Raises:
        DataError: the name is unknown, or the data could not be had.
    """
    source = _source(name)
    if stand_in or os.environ.get("BOOK_DATA") == "stand-in":
        root = data_folder() / "stand-in"
        if not (root / source.folder).exists():
            with _staging(root) as staging:
                _stand_in.write(name, staging)
                _move(staging / source.folder, root / source.folder)
        print(f"Stand-in data: a few images drawn by code, not the real {name}.")
        return root
    root = data_folder()
    if source.problems(root):
        _download(name, source, root)
    return root


def load_images(
    name: str,
    train: bool,
    transform: Callable[[Tensor], Tensor] | None = None,
    stand_in: bool = False,
) -> "ImageSet":
    """Load Fashion-MNIST, MNIST or CIFAR-10 into memory, decoded once.

    Args:
        name: ``"FashionMNIST"``, ``"MNIST"`` or ``"CIFAR10"``.
        train: the training half, else the test half.
        transform: applied to each batch of uint8 images (N, C, H, W).
        stand_in: as in `fetch`.

    Raises:
        DataError: as in `fetch`.
    """
    root = fetch(name, stand_in)
    dataset_class = _source(name).dataset_class
    if root.name == "stand-in":
        dataset_class = _stand_in.without_digests(dataset_class)
    return ImageSet.decode(dataset_class(root, train=train), transform)


class ImageSet(Dataset):
    """Images of one size, held in memory as uint8 and handed out a batch at a time.

    ``image_set[indices]`` gives a pair of tensors: the images, after ``transform`` has
    seen the whole batch at once, and the labels. Taught in "Six recipes", Recipe 1.

    Args:
        images: uint8, (N, C, H, W), values 0 to 255.
        labels: int64, (N,), values 0 to ``len(classes) - 1``.
        classes: the name of each class.
        transform: takes a batch of images and returns a batch.

    Raises:
        ValueError: a shape, a type or a label is not as above.
    """

    def __init__(self, images, labels, classes, transform=None):
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(
                "images must be uint8 of shape (N, C, H, W), "
                f"not {images.dtype} of shape {tuple(images.shape)}"
            )
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images, but {len(labels)} labels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(
                f"labels run from {labels.min()} to {labels.max()}, "
                f"but there are {len(classes)} classes"
            )
        self.images, self.labels = images, labels
        self.classes, self.transform = list(classes), transform

    @classmethod
    def decode(cls, dataset, transform=None) -> "ImageSet":
        """Take the pixels out of a torchvision MNIST, FashionMNIST or CIFAR10."""
        images = torch.as_tensor(dataset.data)  # (N, H, W), or (N, H, W, 3) in colour
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
        labels = torch.as_tensor(dataset.targets)
        return cls(images.contiguous(), labels, dataset.classes, transform)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> tuple[Tensor, Tensor]:
        if isinstance(index, list):  # six times as fast as images[index] on a CPU
            rows = torch.tensor(index, dtype=torch.int64, device=self.images.device)
            images = self.images.index_select(0, rows)
        else:
            images = self.images[index]
        if self.transform is not None:
            images = self.transform(images)
        return images, self.labels[index]

    def to(self, device) -> "ImageSet":
        """Return the same set with its tensors on ``device``."""
        images, labels = self.images.to(device), self.labels.to(device)
        return ImageSet(images, labels, self.classes, self.transform)

    def subset(self, indices, transform="same") -> "ImageSet":
        """Return the images at ``indices``, with another transform if one is given."""
        transform = self.transform if transform == "same" else transform
        return ImageSet(
            self.images[indices], self.labels[indices], self.classes, transform
        )


def make_loader(
    dataset: Dataset, batch_size: int, shuffle: bool = False, drop_last: bool = False
) -> DataLoader:
    """Return a DataLoader that asks the set for whole batches instead of single images.

    The order of a shuffled loader comes from PyTorch's global generator, so that
    ``torch.manual_seed`` fixes it. ``loader.batch_size`` is None: the sampler makes the
    batches. Taught in "Six recipes", Recipe 1.

    Args:
        dataset: anything that takes a list of indices, such as an `ImageSet`.
        batch_size: images in a batch; the last one may be shorter.
        shuffle: a new random order in each epoch.
        drop_last: leave a last, shorter batch out.
    """
    order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    sampler = BatchSampler(order, batch_size, drop_last)
    # A loader draws a seed for its workers, even for none of them: a validation loader
    # must not draw it from the global generator, or watching would change training.
    generator = None if shuffle else torch.Generator()
    return DataLoader(dataset, batch_size=None, sampler=sampler, generator=generator)


class RandomCropFlip(nn.Module):
    """Shift and mirror every image of a batch by its own random amount.

    The same as padding with zeros, cropping back to the old size at a random place and
    flipping left to right, image by image; one ``gather`` does the whole batch. Taught
    in "Six recipes", in the section on the small CNN.

    Args:
        padding: pixels added on each side, so the largest shift.
        flip: probability that an image is mirrored.
    """

    def __init__(self, padding: int, flip: float = 0.5):
        super().__init__()
        self.padding, self.flip = padding, flip

    def forward(self, images: Tensor) -> Tensor:
        """Take and return (N, C, H, W) of any type."""
        n, channels, height, width = images.shape
        pad, device = self.padding, images.device
        top = torch.randint(2 * pad + 1, (n, 1, 1), device=device)
        left = torch.randint(2 * pad + 1, (n, 1, 1), device=device)
        mirror = torch.rand(n, 1, 1, device=device) < self.flip
        rows = top + torch.arange(height, device=device).view(1, -1, 1)
        columns = torch.arange(width, device=device).view(1, 1, -1)
        columns = left + torch.where(mirror, width - 1 - columns, columns)
        index = (rows * (width + 2 * pad) + columns).view(n, 1, -1)
        padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
        cropped = padded.gather(2, index.expand(-1, channels, -1))
        return cropped.view(n, channels, height, width)


def load_photos(
    folder: Path | str, transform: Callable | None = None
) -> datasets.ImageFolder:
    """Open a folder of photos, one sub-folder a class, and say what is wrong with it.

    It is torchvision's ``ImageFolder``, whose errors name the folder or the photo.
    Taught in "From photos to batches".

    Args:
        folder: holds one folder of images for each class.
        transform: takes a PIL image.

    Raises:
        DataError: no such folder, no class in it, a class without photos; or, when a
            photo is asked for, a file that does not decode.
    """
    folder = Path(folder)
    classes = (
        sorted(p for p in folder.glob("*") if p.is_dir()) if folder.is_dir() else []
    )
    if not classes:
        what = "has no class folders" if folder.is_dir() else "is no folder"
        raise DataError(
            f"{folder} {what}: it needs one folder of photos for each class."
        )
    try:
        return datasets.ImageFolder(folder, transform, loader=_open_photo)
    except FileNotFoundError as error:
        raise DataError(
            f"A class in {folder} has no photos; fill its folder or remove it. {error}"
        ) from error


def _open_photo(path: str):
    from helpers.photos import open_photo  # which needs this module

    return open_photo(path)


def git_name(kind: str, content: bytes) -> bytes:
    """Return the 20 bytes under which git files a "blob" or a "tree".

    Taught in "From photos to batches".
    """
    head = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).digest()


def git_tree(folder: Path | str) -> bytes:
    """Return git's name for the contents of a folder: 20 bytes, however it was packed.

    Names and contents of all files count, dates do not. It is what ``git rev-parse
    COMMIT:PATH`` says of the same folder, if none of its files may be executed. Taught
    in "From photos to batches".
    """
    entries = []
    for path in Path(folder).iterdir():
        if path.is_dir():
            entries.append((path.name.encode() + b"/", b"40000 ", git_tree(path)))
        else:
            name = git_name("blob", path.read_bytes())
            entries.append((path.name.encode(), b"100644 ", name))
    lines = [mode + key.rstrip(b"/") + b"\0" + n for key, mode, n in sorted(entries)]
    return git_name("tree", b"".join(lines))


# --- where the sets come from -------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    folder: str  # below the data folder
    files: dict[str, str | None]  # path below the data folder -> md5, None: only there
    archives: Sequence[str]  # what a reader can put there by hand
    dataset_class: type | None = None  # torchvision's, which knows the mirrors
    url: str = ""
    sha256: str = ""
    commit: str = ""  # of the repository whose archive the url gives
    inside: tuple[str, ...] = ()  # the folder of the repository that is kept
    counts: dict[str, int] = field(default_factory=dict)  # photos in each folder of it

    def problems(self, root: Path) -> list[str]:
        """Name each file that is missing or damaged."""
        return [
            f"{path} is {'damaged' if (root / path).exists() else 'missing'}"
            for path, md5 in self.files.items()
            if not (root / path).is_dir() and not check_integrity(root / path, md5)
        ] + [
            f"{found} photos in {self.folder}/{part}, not {expected}"
            for part, expected in self.counts.items()
            if (found := _count_photos(root / self.folder / part)) != expected
        ]


def _count_photos(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.jp*g"))  # one ant is formica.jpeg


def _idx(dataset_class: type, digests: dict[str, str]) -> _Source:
    """Describe a set in MNIST's format; the digests are those of the unpacked files."""
    folder = dataset_class.__name__
    files = {f"{folder}/raw/{name}": md5 for name, md5 in digests.items()}
    archives = [f"{path}.gz" for path in files]
    return _Source(folder, files, archives, dataset_class)


_CIFAR = datasets.CIFAR10.base_folder
_DOGSCATS = "bd2b1c7fd499e4bd665b13578a9482ea9de49500"
_SOURCES = {
    "FashionMNIST": _idx(
        datasets.FashionMNIST,
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
    "MNIST": _idx(
        datasets.MNIST,
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "CIFAR10": _Source(
        _CIFAR,
        {
            f"{_CIFAR}/{name}": md5
            for name, md5 in [
                *datasets.CIFAR10.train_list,
                *datasets.CIFAR10.test_list,
                (datasets.CIFAR10.meta["filename"], datasets.CIFAR10.meta["md5"]),
            ]
        },
        ["cifar-10-python.tar.gz"],
        datasets.CIFAR10,
    ),
    # The ants and bees of PyTorch's transfer-learning tutorial, with the digest that
    # its own build checks. Of the folders, only that they are there is checked.
    "hymenoptera_data": _Source(
        "hymenoptera_data",
        {
            f"hymenoptera_data/{split}/{label}": None
            for split in ("train", "val")
            for label in ("ants", "bees")
        },
        ["hymenoptera_data.zip"],
        url="https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        sha256="fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209",
        counts={"train/ants": 123, "train/bees": 121, "val/ants": 70, "val/bees": 83},
    ),
    # Cats and dogs out of a repository. GitHub packs its archives anew and promises
    # nothing about their bytes, so there is no digest; _unzip_commit checks the rest.
    "dogscats": _Source(
        "dogscats",
        {"dogscats/cat": None, "dogscats/dog": None},
        ["dogscats.zip"],
        url=f"https://github.com/ardamavi/Dog-Cat-Classifier/archive/{_DOGSCATS}.zip",
        commit=_DOGSCATS,
        inside=("Data", "Train_Data"),
        counts={"cat": 700, "dog": 699},
    ),
}


def _source(name: str) -> _Source:
    if name not in _SOURCES:
        raise DataError(f"No data set {name!r}; the book has {', '.join(_SOURCES)}.")
    return _SOURCES[name]


def _download(name: str, source: _Source, root: Path) -> None:
    before = source.problems(root)
    try:
        with _staging(root) as staging:
            for archive in source.archives:  # put there by hand: no need to download
                if (root / archive).exists():
                    (staging / archive).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / archive, staging / archive)
            if source.dataset_class:
                source.dataset_class(staging, download=True)
            else:
                _unzip(source, staging)
            if after := source.problems(staging):
                raise OSError("; ".join(after))
            if source.commit:
                _compare_with_first(source, staging, root)
            _move(staging / source.folder, root / source.folder)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        whence = f" (from {source.url})" if source.url else ""
        raise DataError(
            f"{name} is not to be had: {'; '.join(before)}, and the download failed:\n"
            f"{error}\n"
            "Nothing half-made was kept. What you can do:\n"
            "- run the cell again, perhaps later: mirrors fail and come back;\n"
            f"- or put {', '.join(source.archives)}{whence} into {root} by hand;\n"
            "- or point the environment variable BOOK_DATA at a folder that has it;\n"
            "- or set BOOK_DATA=stand-in, to run the code on drawn stand-in images."
        ) from error


def _unzip(source: _Source, staging: Path) -> None:
    archive = staging / source.archives[0]
    if not archive.exists():
        digest = source.sha256 or None
        torch.hub.download_url_to_file(source.url, archive, hash_prefix=digest)
    with zipfile.ZipFile(archive) as packed:
        if source.commit:
            _unzip_commit(packed, source, staging / source.folder)
        else:
            packed.extractall(staging)  # zipfile drops "..": nothing lands outside


def _unzip_commit(packed: zipfile.ZipFile, source: _Source, folder: Path) -> None:
    """Unpack one folder of a repository's archive, and check all that can be checked.

    The archive names its commit in its comment; zipfile compares the CRC of each file
    with that in the archive while it unpacks. The photos are counted afterwards.
    """
    commit = packed.comment.decode(errors="replace")
    if commit != source.commit:
        raise OSError(f"the archive is of commit {commit!r}, not {source.commit}")
    depth = 1 + len(source.inside)  # the archive's one folder, and those below it
    for entry in packed.infolist():
        parts = PurePosixPath(entry.filename).parts
        if parts[1:depth] == source.inside and not entry.is_dir():
            entry.filename = "/".join(parts[depth:])
            packed.extract(entry, folder)  # drops "..", too


def _compare_with_first(source: _Source, staging: Path, root: Path) -> None:
    """Note git's name for the contents at the first download; later ones must agree."""
    tree = git_tree(staging / source.folder).hex()
    note = root / f"{source.folder}.tree"
    if not note.exists():
        note.write_text(tree, encoding="utf-8")
    elif (first := note.read_text(encoding="utf-8").strip()) != tree:
        raise OSError(
            f"the contents are {tree}, those of the first download were {first}; "
            f"delete {note} if you trust the new ones"
        )


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Give a folder beside the data that is gone afterwards, whatever happens."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(".partial-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > 24 * 3600:
                shutil.rmtree(left, ignore_errors=True)
        folder = tempfile.TemporaryDirectory(prefix=".partial-", dir=root)
    except OSError as error:
        raise DataError(
            f"The data folder {root} cannot be written: {error}. "
            "Point the environment variable BOOK_DATA at one that can."
        ) from error
    with folder as path:
        yield Path(path)


def _move(source: Path, target: Path) -> None:
    """Move a tree in place, file by file, over what a failed run may have left."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, place)
