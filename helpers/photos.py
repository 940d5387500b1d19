"""Photos from a folder: checked, split, and decoded once.

Taught in "From photos to batches", where the code is shown.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import functional as F

from helpers.data import DataError, ImageSet

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}


def open_photo(path: Path | str) -> Image.Image:
    """Open a photo as RGB, upright, whatever it was stored as.

    Turned as its EXIF data say; CMYK, palette and grey become RGB; 16 bits become 8;
    what is transparent becomes white.

    Raises:
        DataError: the file is not a whole photo, or its white is unknown: pixels in
            floating point or of more than 16 bits.
        FileNotFoundError: there is no such file.
    """
    try:
        with Image.open(path) as file:
            photo = ImageOps.exif_transpose(file)
        if photo.mode == "F":
            raise ValueError("floating-point pixels, whose white is unknown")
        if photo.mode.startswith("I"):  # 16 bits: convert() would cut them off at 255
            if photo.getextrema()[1] > 65535:
                raise ValueError("more than 16 bits, whose white is unknown")
            photo = photo.convert("I").point(lambda value: value / 256).convert("L")
        elif photo.has_transparency_data:
            photo = photo.convert("RGBA")
            white = Image.new("RGBA", photo.size, "white")
            photo = Image.alpha_composite(white, photo)
        return photo.convert("RGB")
    except (FileNotFoundError, PermissionError, MemoryError):
        raise  # not the photo's fault
    except Exception as error:  # decoders raise a dozen kinds on damaged bytes
        message = f"{path} is not a whole photo ({error}); replace it or remove it."
        raise DataError(message) from error


def find_damaged(folder: Path | str) -> list[tuple[Path, str]]:
    """Return every file with a photo's suffix that does not decode, and why not.

    Args:
        folder: searched with all folders in it. Nothing is changed or skipped.
    """
    damaged = []
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            try:
                open_photo(path)
            except DataError as error:
                damaged.append((path, str(error.__cause__)))
    return damaged


def split(labels: Tensor, shares: Sequence[float], seed: int) -> list[Tensor]:
    """Split indices into parts with these shares, every class in the same proportion.

    The parts depend on the labels, the shares and the seed alone; nothing is moved.

    Args:
        labels: the class of each photo, (N,).
        shares: of each part; they add up to 1.
        seed: of the shuffle.

    Returns:
        For each part the indices of its photos, ascending, int64.

    Raises:
        ValueError: the shares do not add up to 1, or a class is too small for a part.
    """
    if abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"the shares {tuple(shares)} add up to {sum(shares):g}, not 1")
    labels = torch.as_tensor(labels)
    generator = torch.Generator().manual_seed(seed)
    parts = [[] for _ in shares]
    for label in labels.unique().tolist():
        mine = (labels == label).nonzero().squeeze(1)
        mine = mine[torch.randperm(len(mine), generator=generator)]
        ends = [round(len(mine) * sum(shares[:k])) for k in range(len(shares) + 1)]
        for k, part in enumerate(parts):
            if ends[k] == ends[k + 1]:
                raise ValueError(
                    f"class {label} has too few photos ({len(mine)}) for "
                    f"{len(shares)} parts of shares {tuple(shares)}"
                )
            part.append(mine[ends[k] : ends[k + 1]])
    return [torch.cat(part).sort().values for part in parts]


def decode_photos(
    dataset: ImageFolder, size: int = 256, transform: Callable | None = None
) -> ImageSet:
    """Decode every photo of a data set once: shorter side `size`, middle square.

    Args:
        dataset: has `samples`, `targets` and `classes`, as from `load_photos`; its own
            transform is not used.
        size: side of the squares that are kept, in pixels.
        transform: of the `ImageSet` that is returned, for whole batches.

    Returns:
        uint8 images (N, 3, size, size), in the order of the data set.

    Raises:
        DataError: a photo does not decode; the message names it.
    """
    squares = torch.empty(len(dataset.samples), 3, size, size, dtype=torch.uint8)
    for square, (path, _) in zip(squares, dataset.samples, strict=True):
        photo = F.resize(open_photo(path), [size], antialias=True)
        square.copy_(F.pil_to_tensor(F.center_crop(photo, [size, size])))
    labels = torch.tensor(dataset.targets)
    return ImageSet(squares, labels, dataset.classes, transform)


class EachPhoto:
    """Apply a transform to every photo of a batch by itself: each has its own chance.

    A random transform of torchvision that gets a whole batch draws once for all of it.

    Args:
        transform: takes and returns a photo (C, H, W); all results have one size.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor]):
        self.transform = transform

    def __call__(self, photos: Tensor) -> Tensor:
        """Take (N, C, H, W), return the stacked results."""
        return torch.stack([self.transform(photo) for photo in photos])
