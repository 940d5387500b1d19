"""Pretrained networks: weights that fit or say why not, heads, the interval."""

import ast
import re
import socket
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest
from torch import nn
from torchvision import models

from helpers import pretrained
from helpers.data import data_folder as folder_of_data
from helpers.data import load_photos
from helpers.pretrained import (
    Pretrained,
    WeightsError,
    build,
    check_classes,
    first_weights,
    head_of,
    load_pretrained,
    load_weights,
    read_weights,
    replace_head,
    wilson,
    without_auxiliary,
)
from tests.conftest import code_of, definitions

FIRST = [
    name
    for name in models.list_models(module=models)
    if "IMAGENET1K_V1" in models.get_model_weights(name).__members__
]
HEADS = {
    "resnet18": "fc",
    "alexnet": "classifier.6",
    "vgg13": "classifier.6",
    "mobilenet_v2": "classifier.1",
    "squeezenet1_1": "classifier.1",
    "densenet121": "classifier",
    "vit_b_16": "heads.head",
}


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No network, an empty cache, an empty data folder."""

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "data"))
    return tmp_path


def fill(state):
    return {key: torch.rand_like(value.float()) for key, value in state.items()}


# --- heads ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIRST)
def test_the_head_gives_the_logits_of_every_network(name):
    if name.startswith("regnet") and not name.endswith("400mf"):
        pytest.skip(
            "a RegNet cannot be built on the device meta; its smallest stands for all"
        )
    model = without_auxiliary(build(name)).to("meta") if "regnet" in name else None
    with torch.device("meta"):
        model = model or without_auxiliary(build(name))
        old = model.get_submodule(head_of(model))
        assert len(old.weight) == 1000
        assert HEADS.get(name, head_of(model)) == head_of(model)
        before = {key: value.shape for key, value in model.state_dict().items()}
        new = replace_head(model, 7)
        side = first_weights(name).transforms().crop_size[0]
        for training in (True, False):
            assert model.train(training)(torch.zeros(2, 3, side, side)).shape == (2, 7)
    assert type(new) is type(old)
    after = {key: value.shape for key, value in model.state_dict().items()}
    changed = {key.rpartition(".")[0] for key in before if before[key] != after[key]}
    assert changed == {head_of(model)}


@pytest.mark.parametrize(
    "name", ["resnet18", "alexnet", "vgg13", "mobilenet_v2", "squeezenet1_1"]
)
@torch.no_grad()
def test_old_rows_in_the_new_head_give_the_old_logits(name):
    model = build(name).eval()
    batch = torch.rand(1, 3, 224, 224)
    logits = model(batch)
    before, scale = logits[:, [310, 309]], logits.std()  # MobileNet's are near 1e-10
    old = model.get_submodule(head_of(model))
    new = replace_head(model, 2)
    new.weight.copy_(old.weight[[310, 309]])
    new.bias.copy_(old.bias[[310, 309]])
    after = model(batch)
    torch.testing.assert_close(after / scale, before / scale, atol=1e-4, rtol=0)
    assert not torch.allclose(after.flip(1) / scale, before / scale, atol=1e-4, rtol=0)


def test_a_new_head_keeps_type_and_device():
    model = build("squeezenet1_1").to(torch.bfloat16)
    assert replace_head(model, 3).weight.dtype is torch.bfloat16
    model = build("squeezenet1_1").to("meta")
    assert replace_head(model, 3).weight.device.type == "meta"


def test_a_network_without_a_layer_has_no_head():
    with pytest.raises(WeightsError, match="no linear layer"):
        head_of(nn.Sequential(nn.ReLU()))


# --- loading -------------------------------------------------------------------------


def test_a_stand_in_is_small_the_same_each_time_and_says_so(no_network):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    names = ("vgg13", "mobilenet_v2", "squeezenet1_1")
    one, two = (load_pretrained(*names, stand_in=True) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.name == "squeezenet1_1"
    assert "random" in one.source
    assert not one.model.training
    assert len(one.categories) == 1000
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_weights_the_error_says_what_was_tried(no_network):
    with pytest.raises(
        WeightsError, match=r"vgg13: no network(.|\n)*alexnet-owt-7be5be79\.pth"
    ):
        load_pretrained("vgg13", "alexnet")


def test_unknown_names_and_networks_without_first_weights():
    with pytest.raises(ValueError, match="Unknown model resnt18"):
        load_pretrained("resnt18")
    with pytest.raises(WeightsError, match="vit_h_14 has no IMAGENET1K_V1, only"):
        load_pretrained("vit_h_14")


def test_a_file_in_the_data_folder_is_taken(no_network):
    folder = folder_of_data() / "weights"
    folder.mkdir(parents=True)
    state = fill(build("shufflenet_v2_x0_5").state_dict())
    torch.save(
        {key: value.half() for key, value in state.items()},
        folder / "shufflenet_v2_x0_5.pth",
    )
    found = load_pretrained("vgg13", "shufflenet_v2_x0_5")
    assert found.name == "shufflenet_v2_x0_5"
    assert "the weights in" in found.source
    assert found.model.fc.weight.dtype is torch.float32
    torch.testing.assert_close(
        found.model.fc.weight, state["fc.weight"], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("cut", [0, 100, 20_000])
def test_a_damaged_file_in_the_data_folder_is_named_not_skipped(no_network, cut):
    folder = folder_of_data() / "weights"
    folder.mkdir(parents=True)
    file = folder / "squeezenet1_0.pth"
    torch.save(build("squeezenet1_0").state_dict(), file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(WeightsError, match=r"squeezenet1_0\.pth is damaged"):
        load_pretrained("squeezenet1_0", "squeezenet1_1")


def test_a_cut_file_in_torchvisions_cache_is_fetched_anew(no_network, monkeypatch):
    label = first_weights("squeezenet1_1")
    file = Path(torch.hub.get_dir(), "checkpoints", Path(label.url).name)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half a file")
    asked = []

    def deliver(url, place, hash_prefix=None, progress=True):
        asked.append((url, hash_prefix))
        assert not progress  # a bar would stay in the stored output of a chapter
        torch.save(build("squeezenet1_1").state_dict(), place)

    monkeypatch.setattr(torch.hub, "download_url_to_file", deliver)
    assert load_pretrained("squeezenet1_1").source.endswith("of torchvision")
    assert asked == [(label.url, "b8a52dc0")]


def test_a_whole_file_in_the_cache_needs_no_network(no_network, monkeypatch):
    label = first_weights("squeezenet1_1")
    file = Path(torch.hub.get_dir(), "checkpoints", Path(label.url).name)
    file.parent.mkdir(parents=True)
    torch.save(build("squeezenet1_1").state_dict(), file)
    monkeypatch.setattr(pretrained, "is_whole", lambda file, digest: True)
    assert load_pretrained("squeezenet1_1").source.endswith("of torchvision")


def test_a_silent_server_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    seen = []

    def silent(*args, **kwargs):
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", silent)
    with pytest.raises(WeightsError, match="timed out"):
        load_pretrained("squeezenet1_1")
    assert seen == [10]
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_auxiliary_heads_give_logits_alone(name):
    with torch.device("meta"):
        model = without_auxiliary(build(name)).train()
        assert model.transform_input
        assert model(torch.zeros(2, 3, 299, 299)).shape == (2, 1000)
    assert not any("aux" in key.lower() for key in model.state_dict())


# --- weights and names that do not fit --------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"<html>404</html>", b"a text\n" * 99, bytes(999)]
)
def test_what_is_no_file_of_weights(tmp_path, content):
    file = tmp_path / "weights.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.pth is damaged"):
        read_weights(file)


def test_weights_that_would_run_code_are_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "whole.pth")  # a pickled object
    with pytest.raises(WeightsError, match="damaged, or no file of weights"):
        read_weights(tmp_path / "whole.pth")


def test_a_missing_file_says_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        read_weights(tmp_path / "none.pth")


def test_weights_of_another_network_leave_the_model_alone():
    model = build("resnet18")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    other = build("resnet18")
    replace_head(other, 2)
    for state, match in [
        (build("resnet34").state_dict(), "96 do not belong to it"),
        (build("squeezenet1_1").state_dict(), "102 are missing|10. are missing"),
        (other.state_dict(), "2 have another shape.*fc.bias"),
        ({"model": before, "epoch": 3}, "its entries are"),
    ]:
        with pytest.raises(WeightsError, match=match):
            load_weights(model, state, "resnet18")
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key]), key


TABLE = [  # the networks of the chapter's table
    "resnet18", "alexnet", "vgg13", "mobilenet_v2", "squeezenet1_1", "googlenet",
    "inception_v3", "densenet121", "shufflenet_v2_x1_0", "mnasnet1_0",
    "efficientnet_b3", "resnext50_32x4d", "convnext_tiny", "vit_b_16", "swin_t",
]  # fmt: skip


def test_these_are_the_networks_of_the_chapter():
    code = ast.parse(code_of("19_pretrained"))
    shown = []
    for node in code.body:
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = node.target if hasattr(node, "target") else node.targets[0]
            if ast.unparse(target) == "names":
                shown += ast.literal_eval(node.value)
    assert shown == TABLE


@pytest.mark.parametrize("name", TABLE)
def test_every_network_of_the_table_loads_its_own_weights(name):
    model = build(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    load_weights(model, state, name)
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key
    load_weights(model, model.state_dict(), name)


def test_old_keys_of_densenet_are_renamed(no_network):
    folder = folder_of_data() / "weights"
    folder.mkdir(parents=True)
    state = build("densenet121").state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", key): value
        for key, value in state.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, folder / "densenet121.pth")
    found = load_pretrained("densenet121").model.state_dict()
    assert all(torch.equal(found[key], state[key]) for key in state)


@pytest.mark.parametrize("content", [[torch.zeros(1)], torch.zeros(3)])
def test_what_is_no_dict_of_weights(no_network, content):
    folder = folder_of_data() / "weights"
    folder.mkdir(parents=True)
    torch.save(content, folder / "squeezenet1_0.pth")
    with pytest.raises(WeightsError, match=r"no state_dict but a (list|Tensor)"):
        load_pretrained("squeezenet1_0")


def test_old_files_without_counters_load():
    model, state = build("resnet18"), build("resnet18").state_dict()
    load_weights(model, {k: v for k, v in state.items() if "num_batches" not in k}, "")
    assert torch.equal(model.conv1.weight, state["conv1.weight"])


def test_names_have_to_fit_the_outputs():
    model = build("squeezenet1_1")
    with pytest.raises(WeightsError, match="1000 outputs, but there are 2"):
        Pretrained("squeezenet1_1", model, None, ["ant", "bee"], "")
    replace_head(model, 2)
    Pretrained("squeezenet1_1", model, None, ["ant", "bee"], "")


def test_class_lists_that_do_not_match():
    check_classes(["ants", "bees"], ("ants", "bees"))
    with pytest.raises(WeightsError, match="in another order"):
        check_classes(["ants", "bees"], ["bees", "ants"])
    with pytest.raises(
        WeightsError, match=r"ants, bees; these classes are ants, wasps\."
    ):
        check_classes(["ants", "bees"], ["ants", "wasps"])


# --- the interval -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "n"), [(0, 5), (5, 5), (92, 153), (143, 153), (1, 1)]
)
def test_wilson_is_scipys(right, n):
    reference = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n, z=1.959963984540054) == pytest.approx(
        tuple(reference), abs=1e-12
    )


# --- the chapter shows the same code ----------------------------------------------


def test_the_chapter_shows_the_code_of_the_helper():
    shown = definitions(code_of("19_pretrained"))
    kept = definitions(Path(pretrained.__file__).read_text(encoding="utf-8"))
    for name in (
        "load_pretrained", "from_torchvision", "is_whole", "from_data_folder",
        "read_weights", "load_weights", "head_of", "replace_head", "check_classes",
        "wilson",
    ):  # fmt: skip
        assert shown[name] == kept[name], name


# --- real weights, where they lie ---------------------------------------------------


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_real_weights_know_an_ant_from_a_bee(name):
    photos = folder_of_data() / "hymenoptera_data" / "val"
    if not ((folder_of_data() / "weights").exists() and photos.exists()):
        pytest.skip("no weights here")
    network = load_pretrained(name)
    dataset = load_photos(photos, network.transforms)
    batch = torch.stack([dataset[i][0] for i in range(0, len(dataset), 6)])
    labels = torch.tensor(dataset.targets[::6])
    with torch.inference_mode():
        two = network.model(batch)[:, [310, 309]]
    assert (two.argmax(1) == labels).float().mean() > 0.75
