import gzip
import hashlib
import os
import random
import struct
import time
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import datasets
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from helpers import _stand_in, data
from helpers.data import (
    DataError,
    ImageSet,
    RandomCropFlip,
    fetch,
    load_images,
    load_photos,
    make_loader,
)
from tests.conftest import serve

# --- stand-ins ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("FashionMNIST", (1, 28, 28)),
        ("MNIST", (1, 28, 28)),
        ("CIFAR10", (3, 32, 32)),
    ],
)
def test_stand_in_has_the_shapes_types_and_names_of_the_real_set(
    name, shape, data_folder, capsys
):
    images = load_images(name, train=True, stand_in=True)
    assert images.images.shape == (_stand_in.TRAIN, *shape)
    assert images.images.dtype == torch.uint8
    assert images.labels.dtype == torch.int64
    assert images.labels.unique().tolist() == list(range(10))
    if name != "CIFAR10":  # torchvision reads those names from the set's own files
        assert images.classes == getattr(datasets, name).classes
    else:
        assert images.classes[3] == "cat"
    assert "Stand-in data" in capsys.readouterr().out
    test = load_images(name, train=False, stand_in=True)
    assert len(test) == _stand_in.TEST
    assert not torch.equal(test.images[:9], images.images[:9])


def test_stand_in_is_the_same_on_every_machine():
    images, labels = _stand_in.draw(64, 10, 28, 1, seed=(0, 64))
    again, _ = _stand_in.draw(64, 10, 28, 1, seed=(0, 64))
    np.testing.assert_array_equal(images, again)
    assert np.bincount(labels).tolist() == [7, 7, 7, 7, 6, 6, 6, 6, 6, 6]


def test_stand_in_can_be_learned_and_is_not_trivial(data_folder):
    """The nearest class mean of the training images names most test images."""
    train = load_images("FashionMNIST", train=True, stand_in=True)
    test = load_images("FashionMNIST", train=False, stand_in=True)
    means = torch.stack(
        [train.images[train.labels == c].float().mean(0) for c in range(10)]
    )
    distance = torch.cdist(test.images.float().flatten(1), means.flatten(1))
    accuracy = (distance.argmin(1) == test.labels).float().mean()
    assert 0.7 < accuracy <= 1


def test_stand_in_is_taken_when_the_environment_asks(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BOOK_DATA", "stand-in")
    monkeypatch.setattr(
        data.platformdirs, "user_cache_dir", lambda *a, **k: str(tmp_path)
    )
    assert fetch("hymenoptera_data") == tmp_path / "stand-in"
    photos = load_photos(tmp_path / "stand-in" / "hymenoptera_data" / "train")
    assert photos.classes == ["ants", "bees"]
    assert "Stand-in data" in capsys.readouterr().out


# --- downloads, from a server on this machine ---------------------------------------


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A small Fashion-MNIST behind a local server; give the folder that it serves."""
    served = tmp_path / "served"
    _stand_in.write("FashionMNIST", served)
    folder = served / "FashionMNIST" / "raw"
    digests, resources = {}, []
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        digests[file.name] = hashlib.md5(content).hexdigest()
        packed = gzip.compress(content, mtime=0)
        (folder / f"{file.name}.gz").write_bytes(packed)
        resources.append((f"{file.name}.gz", hashlib.md5(packed).hexdigest()))

    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    source = data._idx(datasets.FashionMNIST, digests)
    monkeypatch.setitem(data._SOURCES, "FashionMNIST", source)
    with serve(folder) as address:
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"{address}/"])
        yield folder


def leftovers(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_download_once_then_no_network(mirror, data_folder):
    images = load_images("FashionMNIST", train=True)
    assert len(images) == _stand_in.TRAIN
    for file in mirror.iterdir():
        file.unlink()  # the network is gone
    assert len(load_images("FashionMNIST", train=False)) == _stand_in.TEST
    assert not list(data_folder.glob(".partial-*"))


def test_damaged_download_leaves_nothing_and_says_what_to_do(mirror, data_folder):
    archive = mirror / "train-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DataError, match="run the cell again") as error:
        fetch("FashionMNIST")
    for advice in ["train-images-idx3-ubyte.gz", str(data_folder), "BOOK_DATA"]:
        assert advice in str(error.value)
    assert leftovers(data_folder) == []


def test_a_download_that_failed_works_when_tried_again(mirror, data_folder):
    missing = mirror / "t10k-labels-idx1-ubyte.gz"
    content = missing.read_bytes()
    missing.unlink()
    with pytest.raises(DataError):
        fetch("FashionMNIST")
    missing.write_bytes(content)
    assert len(load_images("FashionMNIST", train=True)) == _stand_in.TRAIN


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_damaged_files_are_noticed_and_fetched_anew(mirror, data_folder, damage):
    before = load_images("FashionMNIST", train=True)
    file = data_folder / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    if damage == "delete":
        file.unlink()
    else:
        content[5000] ^= 255
        file.write_bytes(content[:-1] if damage == "truncate" else content)
    again = load_images("FashionMNIST", train=True)
    assert torch.equal(before.images, again.images)


def test_damaged_file_without_network(mirror, data_folder):
    fetch("FashionMNIST")
    for file in mirror.iterdir():
        file.unlink()
    file = data_folder / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    whole = file.read_bytes()
    file.write_bytes(b"cut off")
    fetch("FashionMNIST")  # unpacked again from the archive that the download left
    assert file.read_bytes() == whole
    file.write_bytes(b"cut off")
    for archive in file.parent.glob("*.gz"):
        archive.unlink()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is damaged"):
        fetch("FashionMNIST")


def test_archives_put_there_by_hand_are_used(mirror, data_folder):
    raw = data_folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in list(mirror.glob("*.gz")):
        archive.rename(raw / archive.name)
    assert len(load_images("FashionMNIST", train=True)) == _stand_in.TRAIN


def test_real_data_never_falls_back_to_the_stand_in(mirror, data_folder):
    for file in mirror.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="FashionMNIST is not to be had"):
        load_images("FashionMNIST", train=True)


def test_leftovers_of_a_killed_download_are_cleared_after_a_day(mirror, data_folder):
    old, young = data_folder / ".partial-old", data_folder / ".partial-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    fetch("FashionMNIST")
    assert young.exists()
    assert not old.exists()


def test_unknown_set_and_unusable_folder(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="No data set 'Imagenet'; the book has Fash"):
        fetch("Imagenet")
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("BOOK_DATA", str(blocked))
    with pytest.raises(DataError, match="cannot be written"):
        fetch("MNIST", stand_in=True)


def test_a_zip_cannot_write_outside_its_folder(data_folder, monkeypatch):
    data_folder.mkdir()
    with zipfile.ZipFile(data_folder / "hymenoptera_data.zip", "w") as archive:
        archive.writestr("../../escaped.txt", "no")
        for part, count in data._SOURCES["hymenoptera_data"].counts.items():
            for number in range(count):
                archive.writestr(f"hymenoptera_data/{part}/{number}.jpg", "x")
    fetch("hymenoptera_data")
    assert not (data_folder.parent / "escaped.txt").exists()
    assert not (data_folder.parent.parent / "escaped.txt").exists()


def test_photos_that_are_missing_are_noticed(data_folder):
    for part in ("train/ants", "train/bees", "val/ants", "val/bees"):
        (data_folder / "hymenoptera_data" / part).mkdir(parents=True)
    problems = data._SOURCES["hymenoptera_data"].problems(data_folder)
    assert "0 photos in hymenoptera_data/train/ants, not 123" in problems
    assert len(problems) == 4


# --- images in memory ---------------------------------------------------------------


def some_images(n=70, classes=10):
    images = torch.randint(256, (n, 1, 6, 6), dtype=torch.uint8)
    return ImageSet(images, torch.arange(n) % classes, [str(c) for c in range(classes)])


def test_in_memory_batches_equal_torchvision_image_by_image(data_folder):
    root = fetch("FashionMNIST", stand_in=True)
    scale = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    )
    slow = datasets.FashionMNIST(root, transform=v2.Compose([v2.ToImage(), scale]))
    fast = ImageSet.decode(slow, scale)
    images, labels = next(iter(make_loader(fast, 50)))
    expected = [slow[i] for i in range(50)]
    torch.testing.assert_close(images, torch.stack([image for image, _ in expected]))
    assert labels.tolist() == [label for _, label in expected]


@pytest.mark.parametrize("drop_last", [False, True])
def test_loader_gives_each_image_once(drop_last):
    images = some_images(70)
    torch.manual_seed(0)
    seen = [labels for _, labels in make_loader(images, 32, True, drop_last)]
    assert [len(labels) for labels in seen] == ([32, 32] if drop_last else [32, 32, 6])
    if not drop_last:
        assert torch.cat(seen).sort().values.equal(images.labels.sort().values)


def test_seed_fixes_the_order_and_epochs_differ():
    loader = make_loader(some_images(), 70, shuffle=True)

    def two_epochs():
        torch.manual_seed(3)
        return [next(iter(loader))[1] for _ in range(2)]

    first, second = two_epochs()
    assert not torch.equal(first, second)
    assert torch.equal(first, two_epochs()[0])


def test_subset_keeps_or_replaces_the_transform():
    images = some_images()
    images.transform = lambda batch: batch.float()
    assert images.subset([3, 1])[[0]][0].dtype == torch.float32
    assert images.subset([3, 1], None)[[0]][0].dtype == torch.uint8
    assert images.subset([3, 1]).labels.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), "must be uint8"),
        (torch.zeros(2, 4, 4).byte(), torch.zeros(2).long(), "shape"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(3).long(), "2 images, but 3"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([0, 2]), "from 0 to 2"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.tensor([-1, 1]), "from -1 to 1"),
    ],
)
def test_image_set_refuses_what_does_not_fit(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageSet(images, labels, ["a", "b"])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 4),
)
def test_crop_and_flip_equal_torchvision_image_by_image(
    seed, channels, height, width, padding
):
    images = torch.randint(256, (5, channels, height, width), dtype=torch.uint8)
    torch.manual_seed(seed)
    ours = RandomCropFlip(padding)(images)
    torch.manual_seed(seed)  # the same draws in the same order
    top = torch.randint(2 * padding + 1, (5, 1, 1)).flatten().tolist()
    left = torch.randint(2 * padding + 1, (5, 1, 1)).flatten().tolist()
    mirror = (torch.rand(5, 1, 1) < 0.5).flatten().tolist()
    for image, out, t, le, m in zip(images, ours, top, left, mirror, strict=True):
        expected = TF.crop(TF.pad(image, [padding] * 4), t, le, height, width)
        assert torch.equal(out, TF.hflip(expected) if m else expected)


def test_every_image_of_a_batch_has_its_own_shift():
    torch.manual_seed(0)
    images = some_images(1).images.expand(2000, -1, -1, -1)
    different = {tuple(x.flatten().tolist()) for x in RandomCropFlip(2)(images)}
    assert len(different) == 5 * 5 * 2


# --- photos -------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    _stand_in.write("hymenoptera_data", tmp_path)
    return tmp_path / "hymenoptera_data" / "train"


def test_photos_are_opened_by_class(photos):
    opened = load_photos(photos, v2.ToImage())
    assert opened.class_to_idx == {"ants": 0, "bees": 1}
    assert opened[0][0].shape == (3, 96, 96)


@pytest.mark.parametrize("content", ["truncated", "empty", "text"])
def test_a_photo_that_does_not_decode_is_named(photos, content):
    path = sorted((photos / "ants").iterdir())[0]
    whole = path.read_bytes()
    broken = {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}
    path.write_bytes(broken[content])
    with pytest.raises(DataError, match=f"{path.name} is not a whole photo"):
        load_photos(photos)[0]


def test_wrong_folder_and_empty_class(photos, tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        load_photos(tmp_path / "nowhere")
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "flat" / "photo.jpg")
    with pytest.raises(DataError, match="has no class folders"):
        load_photos(tmp_path / "flat")
    (photos / "wasps").mkdir()
    with pytest.raises(DataError, match=r"no photos.*wasps"):
        load_photos(photos)


# --- the real sets, where they are --------------------------------------------------

real = pytest.mark.skipif(
    os.environ.get("BOOK_DATA", "stand-in") == "stand-in",
    reason="BOOK_DATA does not point at the real data",
)


@real
@pytest.mark.parametrize(
    ("name", "count", "mean", "std"),
    [  # the means and deviations that the field quotes for the training images
        ("FashionMNIST", 60_000, [0.2860], [0.3530]),
        ("MNIST", 60_000, [0.1307], [0.3081]),
        ("CIFAR10", 50_000, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ],
)
def test_real_images(name, count, mean, std):
    images = load_images(name, train=True)
    assert len(images) == count
    assert images.labels.bincount().sum() == count
    pixels = images.images.transpose(0, 1).flatten(1).double() / 255
    torch.testing.assert_close(pixels.mean(1), torch.tensor(mean).double(), **close)
    torch.testing.assert_close(pixels.std(1), torch.tensor(std).double(), **close)
    assert len(load_images(name, train=False)) == 10_000


close = {"rtol": 0, "atol": 6e-5}


@real
def test_real_photos():
    folder = fetch("hymenoptera_data") / "hymenoptera_data"
    train, val = load_photos(folder / "train"), load_photos(folder / "val")
    assert (len(train), len(val)) == (244, 153)
    for index in random.Random(0).sample(range(244), 20):
        train[index]


def test_struct_header_of_the_stand_in_is_mnist(data_folder):
    root = fetch("MNIST", stand_in=True)
    head = (root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[:16]
    assert struct.unpack(">iiii", head) == (2051, _stand_in.TEST, 28, 28)
