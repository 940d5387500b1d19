"""Photos from a folder: opened, checked, split, decoded once, downloaded."""

import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.transforms import v2

from helpers import _stand_in, data, photos
from helpers.data import DataError, fetch, git_name, git_tree, load_photos
from helpers.photos import EachPhoto, decode_photos, find_damaged, open_photo, split
from tests.conftest import code_of, definitions

# --- photos of every kind -------------------------------------------------------------


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((90, 60), Image.Resampling.BICUBIC)


def levels(image):
    return np.asarray(image).astype(int)


def off(one, other):
    assert one.size == other.size
    return np.abs(levels(one) - levels(other)).mean()


@pytest.mark.parametrize(
    "name", ["a b.png", "müde Ameise 1.png", "蚂蚁.PNG", "a'b%20.png"]
)
def test_names_with_spaces_and_other_letters(tmp_path, picture, name):
    picture.save(tmp_path / name, format="PNG")
    assert off(open_photo(tmp_path / name), picture) == 0
    assert off(open_photo(str(tmp_path / name)), picture) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(tmp_path, picture, orientation):
    turn = Image.Transpose
    store = {  # what the camera stores, so that the note puts it right
        1: [], 2: [turn.FLIP_LEFT_RIGHT], 3: [turn.ROTATE_180],
        4: [turn.FLIP_TOP_BOTTOM], 5: [turn.TRANSPOSE], 6: [turn.ROTATE_90],
        7: [turn.TRANSVERSE], 8: [turn.ROTATE_270],
    }  # fmt: skip
    stored = picture
    for step in store[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", quality=95, exif=exif)
    opened = open_photo(tmp_path / "a.jpg")
    assert opened.mode == "RGB"
    assert off(opened, picture) < 4


def test_sixteen_bits_keep_their_levels(tmp_path):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(ramp * 257).save(tmp_path / "a.png")
    assert (levels(open_photo(tmp_path / "a.png")) == ramp[..., None]).all()
    Image.fromarray(ramp * 257).save(tmp_path / "a.tif")
    assert (levels(open_photo(tmp_path / "a.tif")) == ramp[..., None]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGBA", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, picture, mode):
    suffix = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    path = tmp_path / f"a.{suffix}"
    picture.convert(mode).save(path)
    opened = open_photo(path)
    assert (opened.mode, opened.size) == ("RGB", picture.size)
    if mode not in ("1", "L", "LA", "P"):
        assert off(opened, picture) < 6


@pytest.mark.parametrize("palette", [False, True])
def test_transparent_is_white(tmp_path, palette):
    image = Image.new("RGBA", (8, 8))  # transparent black
    image.paste((200, 10, 10, 255), (0, 0, 4, 8))
    (image.quantize() if palette else image).save(tmp_path / "a.png")
    opened = open_photo(tmp_path / "a.png")
    assert opened.getpixel((6, 6)) == (255, 255, 255)
    assert abs(opened.getpixel((1, 1))[0] - 200) < 8


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif .*floating-point"):
        open_photo(tmp_path / "a.tif")


def test_integers_of_more_than_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif .*more than 16 bits"):
        open_photo(tmp_path / "a.tif")


def test_a_missing_photo_is_missing_and_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        open_photo(tmp_path / "none.jpg")


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, picture):
    picture.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="decompression bomb"):
        open_photo(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "ppm"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_damaged_bytes_give_a_photo_or_an_error_that_names_it(
    tmp_path_factory, suffix, seed
):
    rng = random.Random(seed)
    path = tmp_path_factory.mktemp("x") / f"fuzz.{suffix}"
    Image.effect_noise((24, 17), 60).convert("RGB").save(path)
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content[: rng.randint(0, len(content))])
    try:
        opened = open_photo(path)
    except DataError as error:
        opened, message = None, str(error)
    assert opened.mode == "RGB" if opened else "fuzz" in message


# --- folders --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, picture):
    for kind in ("ants", "bees"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            picture.save(tmp_path / kind / f"{i}.jpg")
    return tmp_path


def damage(path, how):
    whole = path.read_bytes()
    new = {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"<html>404"}[
        how
    ]
    path.write_bytes(new)


@pytest.mark.parametrize("how", ["truncated", "empty", "text"])
def test_damaged_photos_are_found_and_named(folder, how):
    assert find_damaged(folder) == []
    damage(folder / "bees" / "2.jpg", how)
    [(path, reason)] = find_damaged(folder)
    assert path == folder / "bees" / "2.jpg"
    assert reason
    opened = load_photos(folder)
    assert len(opened) == 8
    with pytest.raises(DataError, match=r"2\.jpg is not a whole photo"):
        opened[6]
    with pytest.raises(DataError, match=r"2\.jpg is not a whole photo"):
        decode_photos(opened)


def test_find_damaged_takes_upper_case_and_leaves_other_files(folder):
    (folder / "ants" / "notes.txt").write_text("no photo")
    (folder / "ants" / "IMG.JPG").write_bytes(b"")
    assert [path.name for path, _ in find_damaged(folder)] == ["IMG.JPG"]


def test_find_damaged_changes_nothing(folder):
    damage(folder / "bees" / "2.jpg", "truncated")
    before = git_tree(folder)
    find_damaged(folder)
    assert git_tree(folder) == before


def test_load_photos_turns_as_exif_says(folder, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "ants" / "0.jpg", exif=exif)
    assert load_photos(folder)[0][0].size == picture.size


def test_workers_open_photos_too(folder):
    dataset = load_photos(folder, v2.Compose([v2.Resize((8, 8)), v2.ToImage()]))
    loader = DataLoader(dataset, 4, num_workers=1, multiprocessing_context="spawn")
    assert [tuple(x.shape) for x, _ in loader] == [(4, 3, 8, 8)] * 2


def test_a_damaged_photo_is_named_from_a_worker(folder):
    damage(folder / "bees" / "2.jpg", "empty")
    dataset = load_photos(folder, v2.Compose([v2.Resize((8, 8)), v2.ToImage()]))
    with pytest.raises(DataError, match=r"2\.jpg is not a whole photo"):
        list(DataLoader(dataset, 4, num_workers=1))


# --- split ----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(20, 90), min_size=1, max_size=4),
    shares=st.sampled_from([[1.0], [0.5, 0.5], [0.8, 0.2], [0.7, 0.15, 0.15]]),
    seed=st.integers(0, 2**31),
)
def test_split_is_a_partition_in_proportion_and_repeatable(counts, shares, seed):
    labels = torch.cat([torch.full((n,), c) for c, n in enumerate(counts)])
    labels = labels[torch.randperm(len(labels))]
    torch.manual_seed(1)
    state = torch.get_rng_state()
    parts = split(labels, shares, seed)
    assert torch.equal(
        state, torch.get_rng_state()
    )  # the global generator is left alone
    assert torch.cat(parts).sort().values.equal(torch.arange(len(labels)))
    for share, part in zip(shares, parts, strict=True):
        for c, n in enumerate(counts):
            assert abs((labels[part] == c).sum() - share * n) <= 1
    for one, other in zip(parts, split(labels.tolist(), shares, seed), strict=True):
        assert one.equal(other)


def test_split_of_cats_and_dogs_holds_out_250():
    labels = torch.tensor([0] * 700 + [1] * 699)
    train, test = split(labels, [1 - 250 / 1399, 250 / 1399], 0)
    assert (len(train), len(test)) == (1149, 250)
    assert labels[test].bincount().tolist() == [125, 125]


def test_another_seed_is_another_split():
    labels = torch.arange(100) % 2
    assert not split(labels, [0.5, 0.5], 0)[0].equal(split(labels, [0.5, 0.5], 1)[0])


def test_split_refuses_what_cannot_be():
    with pytest.raises(ValueError, match=r"add up to 0\.9, not 1"):
        split(torch.zeros(9), [0.5, 0.4], 0)
    with pytest.raises(ValueError, match=r"class 1 has too few photos \(1\)"):
        split(torch.tensor([0] * 9 + [1]), [0.8, 0.2], 0)


# --- the cache ------------------------------------------------------------------------


def test_the_cache_is_what_the_weights_transforms_make(folder, picture):
    picture.resize((333, 257)).save(folder / "ants" / "0.jpg")
    picture.resize((200, 301)).save(folder / "ants" / "1.jpg")
    dataset = load_photos(folder)
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    as_floats = v2.Compose([
        v2.CenterCrop(224),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(preset.mean, preset.std),
    ])  # fmt: skip
    cache = decode_photos(dataset, transform=as_floats)
    assert cache.images.dtype == torch.uint8
    assert cache.images.shape == (8, 3, 256, 256)
    assert cache.labels.tolist() == dataset.targets
    expected = torch.stack([preset(dataset[i][0]) for i in range(8)])
    torch.testing.assert_close(cache[:][0], expected, rtol=0, atol=1e-5)


def test_every_kind_of_index_gives_the_same_photos():
    images = torch.randint(256, (9, 3, 4, 4), dtype=torch.uint8)
    photos_ = data.ImageSet(images, torch.arange(9) % 2, ["a", "b"])
    order = [5, 0, 5, 8]
    for index in (order, torch.tensor(order), np.array(order)):
        batch, labels = photos_[index]
        assert batch.equal(images[order])
        assert labels.equal((torch.arange(9) % 2)[order])
    assert photos_[2:4][0].equal(images[2:4])
    assert photos_[3][0].equal(images[3])
    assert photos_[[]][0].shape == (0, 3, 4, 4)


def test_each_photo_has_its_own_crop():
    photo = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8).expand(16, -1, -1, -1)
    crop = v2.RandomResizedCrop(32)
    assert len({x.numpy().tobytes() for x in crop(photo)}) == 1  # torchvision's way
    assert len({x.numpy().tobytes() for x in EachPhoto(crop)(photo)}) == 16


# --- cats and dogs: a download without a published digest -----------------------------

COMMIT = data._DOGSCATS


@pytest.fixture
def archive(tmp_path, data_folder):
    """Make a zip like GitHub's, put where a reader would put it by hand."""
    data_folder.mkdir(parents=True, exist_ok=True)

    def make(commit=COMMIT, missing=0, evil=False, damage=False):
        path = data_folder / "dogscats.zip"
        top = f"Dog-Cat-Classifier-{COMMIT}"
        with zipfile.ZipFile(path, "w") as packed:
            packed.comment = commit.encode()
            packed.writestr(f"{top}/README.md", "not a photo")
            packed.writestr(f"{top}/Data/Train_Data/", "")
            for kind, count in [("cat", 700), ("dog", 699)]:
                for i in range(count - missing):
                    name = f"{top}/Data/Train_Data/{kind}/{kind}.{i}.jpg"
                    packed.writestr(name, f"{kind} {i}")
            if evil:
                packed.writestr(f"{top}/Data/Train_Data/../../../../escaped.jpg", "no")
                packed.writestr("/escaped.jpg", "no")
        if damage:
            content = bytearray(path.read_bytes())
            content[content.index(b"cat 77")] ^= 1  # one bit of one photo
            path.write_bytes(content)
        return path

    return make


def test_only_the_photos_are_unpacked(archive, data_folder):
    archive()
    folder = fetch("dogscats") / "dogscats"
    assert sorted(p.name for p in folder.iterdir()) == ["cat", "dog"]
    assert len(list(folder.glob("*/*.jpg"))) == 1399
    assert (data_folder / "dogscats.tree").read_text() == git_tree(folder).hex()
    assert not list(data_folder.glob(".partial-*"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"commit": "0" * 40}, "archive is of commit '0000"),
        ({"commit": ""}, "archive is of commit ''"),
        ({"missing": 1}, "699 photos in dogscats/cat, not 700"),
        ({"damage": True}, "Bad CRC-32 .*cat"),
    ],
)
def test_an_archive_that_is_not_right_is_refused(archive, data_folder, wrong, message):
    archive(**wrong)
    with pytest.raises(DataError, match=message) as error:
        fetch("dogscats")
    assert f"archive/{COMMIT}.zip" in str(error.value)  # where a reader finds it
    assert not (data_folder / "dogscats").exists()
    assert not (data_folder / "dogscats.tree").exists()


def test_damaged_compressed_bytes_are_refused_too(data_folder):
    data_folder.mkdir(parents=True, exist_ok=True)
    path = data_folder / "dogscats.zip"
    name = f"x/Data/Train_Data/cat/{'c' * 30}.jpg"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.comment = COMMIT.encode()
        packed.writestr(name, bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    at = content.index(name.encode()) + len(name)
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not to be had"):
        fetch("dogscats")


def test_an_evil_archive_lands_inside(archive, data_folder):
    archive(evil=True)
    fetch("dogscats")
    for place in (data_folder, *data_folder.parents):
        assert not (place / "escaped.jpg").exists()


def test_later_downloads_must_agree_with_the_first(archive, data_folder):
    archive()
    folder = fetch("dogscats") / "dogscats"
    shutil.rmtree(folder)
    (data_folder / "dogscats.tree").write_text("0" * 40)
    with pytest.raises(
        DataError, match=r"those of the first download were 0000.*trust"
    ):
        fetch("dogscats")
    (data_folder / "dogscats.tree").unlink()
    assert (fetch("dogscats") / "dogscats" / "dog").is_dir()


def test_photos_that_are_there_need_no_network(data_folder):
    for kind, count in (("cat", 700), ("dog", 699)):
        (data_folder / "dogscats" / kind).mkdir(parents=True)
        for number in range(count):
            (data_folder / "dogscats" / kind / f"{kind}.{number}.jpg").touch()
    assert fetch("dogscats") == data_folder
    (data_folder / "dogscats" / "dog" / "dog.7.jpg").unlink()
    with pytest.raises(DataError, match="698 photos in dogscats/dog, not 699"):
        fetch("dogscats")


def test_stand_in_cats_and_dogs(data_folder):
    folder = fetch("dogscats", stand_in=True) / "dogscats"
    opened = load_photos(folder)
    assert opened.class_to_idx == {"cat": 0, "dog": 1}
    assert all(f"{opened.classes[c]}." in path for path, c in opened.samples)
    assert len({opened[i][0].size for i in range(len(opened))}) == 3
    assert find_damaged(folder) == []
    once, again = folder.parent / "1", folder.parent / "2"
    for place in (once, again):
        _stand_in.write("dogscats", place)
    assert git_tree(once) == git_tree(again)


def test_git_names_are_gits(tmp_path):
    assert git_name("blob", b"").hex() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    if shutil.which("git") is None:
        pytest.skip("no git")
    place = tmp_path / "repository"
    (place / "a" / "b").mkdir(parents=True)
    for name in ["a.txt", "a/x", "a/b/y", "a0", "a-b", "müde Ameise"]:
        (place / name).write_text(name)
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run(
        [*git, "-c", "commit.gpgsign=false", "commit", "-qm", "x"], check=True
    )
    done = subprocess.run(
        [*git, "rev-parse", "HEAD^{tree}"], check=True, capture_output=True, text=True
    )
    shutil.rmtree(place / ".git")
    assert git_tree(place).hex() == done.stdout.strip()


# --- the chapter shows the code of the helpers ----------------------------------------


def test_the_chapter_shows_the_helpers_code():
    shown = definitions(code_of("18_photos"))
    kept = {}
    for module in (photos, data):
        kept |= definitions(Path(module.__file__).read_text(encoding="utf-8"))
    for name in (
        "open_photo", "find_damaged", "split", "decode_photos", "EachPhoto",
        "git_name", "git_tree",
    ):  # fmt: skip
        assert shown[name] == kept[name], name
