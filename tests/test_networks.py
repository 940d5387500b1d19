"""The networks: gathered from their chapters, and the real ones to the last number."""

import json
from functools import partial

import gather
import notebooks
import pytest
import torch
import torchvision
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import networks, networks_table
from helpers.diagrams import count_parameters
from helpers.networks_table import networks_so_far

CHAPTERS = notebooks.chapters()
models = torchvision.models


# --- gathered -----------------------------------------------------------------------


def test_the_module_is_what_the_chapters_define():
    assert gather.MODULE.read_text(encoding="utf-8") == gather.module(), (
        "helpers/networks.py differs from the export cells: run python .ci/gather.py"
    )


def chapter(path, *sources):
    cells = [new_markdown_cell("# A title")]
    cells += [new_code_cell(s, metadata={"tags": ["export"]}) for s in sources]
    cells += [new_code_cell("left_out = 1")]
    path.write_text(notebooks.nbformat.writes(new_notebook(cells=cells)))
    return path


def test_export_cells_become_a_module_in_order(tmp_path):
    first = chapter(tmp_path / "01_a.ipynb", "WIDTHS = (1, 2)", "def f(x):\n  return x")
    second = chapter(tmp_path / "02_b.ipynb", "class G(nn.Module):\n    pass")
    text = gather.module([first, second])
    assert "left_out" not in text
    assert "from torch import nn\n" in text  # what the cells need
    assert "functional" not in text  # and no more
    places = [text.index(x) for x in ("01_a", "WIDTHS", "def f(x):", "02_b", "class G")]
    assert places == sorted(places)
    compile(text, "networks.py", "exec")


def test_an_export_cell_only_defines(tmp_path):
    path = chapter(tmp_path / "01_a.ipynb", "def f():\n    pass\n\nprint(f())")
    with pytest.raises(ValueError, match=r"01_a: an export cell .* print\(f\(\)\)"):
        gather.module([path])


def test_a_name_has_one_home(tmp_path):
    paths = [chapter(tmp_path / f"0{i}_a.ipynb", "class G:\n    pass") for i in (1, 2)]
    with pytest.raises(ValueError, match="G is defined twice: in 01_a and in 02_a"):
        gather.module(paths)


# --- the table ----------------------------------------------------------------------


def test_the_stored_rows_are_those_of_the_chapters():
    assert networks_table.stored_rows() == gather.rows_of_all_chapters()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_shows_the_earlier_rows_as_they_are_now(path):
    rows = gather.rows(notebooks.read(path))
    number = int(path.stem[:2])
    now = [r for r in networks_table.stored_rows() if r["chapter"] <= number]
    assert rows in ([], now), f"an earlier chapter was published: publish {path.stem}"


ROW = {
    "network": "A",
    "year": 1998,
    "parameters": 61_100_840,
    "multiply_adds": 714_188_480,
    "imagenet_top1": 56.522,
    "cifar10": None,
    "budget": None,
}


def test_the_table_grows(tmp_path, monkeypatch, capsys):
    store = tmp_path / "networks.json"
    monkeypatch.setattr(networks_table, "STORE", store)
    own = {
        **ROW,
        "network": "B",
        "year": None,
        "parameters": 999,
        "imagenet_top1": None,
    }
    own |= {"cifar10": [60.0, 62.0], "budget": "5 × 1"}
    assert list(networks_so_far(9, [own]).index) == ["B"]
    store.write_text(json.dumps([{"chapter": n, **ROW} for n in (9, 10, 11)]))
    table = networks_so_far(10, [own])  # 10 and 11 are not earlier
    assert list(table.index) == ["A", "B"]
    expected = ["61.1 M", "56.5", "", "", "714 M", 1998]
    assert table.loc["A"].tolist() == expected
    expected = ["999", "", "61.0 ± 1.4", "5 × 1", "714 M", ""]
    assert table.loc["B"].tolist() == expected
    with pytest.raises(ValueError, match="a row needs the keys"):
        networks_so_far(10, [{"network": "A"}])


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (7, "7"),
        (62_006, "62.0 k"),
        (138_357_544, "138 M"),
        (7_000_000, "7.00 M"),
        (15_470_264_320, "15.5 G"),
    ],
)
def test_short_counts(count, text):
    assert networks_table._short(count) == text


# --- the real ones ------------------------------------------------------------------

WITH_HEADS = {"googlenet": networks.GoogLeNet, "inception_v3": networks.InceptionV3}
OURS = {"alexnet": networks.AlexNet}
for depth in (11, 13, 16, 19):
    OURS[f"vgg{depth}"] = partial(networks.VGG, depth)
    OURS[f"vgg{depth}_bn"] = partial(networks.VGG, depth, batch_norm=True)
for depth in (18, 34, 50, 101, 152):
    OURS[f"resnet{depth}"] = partial(networks.resnet, f"resnet{depth}")
OURS |= {name: partial(networks.densenet, name) for name in networks.DENSENETS}
OURS |= {name: partial(networks.wider_resnet, name) for name in networks.WIDER_RESNETS}
OURS |= {name: partial(networks.SqueezeNet, name) for name in networks.SQUEEZENETS}
OURS |= {name: partial(networks.ShuffleNetV2, name) for name in networks.SHUFFLENETS}
for width in ("0_5", "0_75", "1_0", "1_3"):
    OURS[f"mnasnet{width}"] = partial(networks.MNASNet, float(width.replace("_", ".")))
OURS["mobilenet_v2"] = networks.MobileNetV2
for name in networks.EFFICIENTNETS:
    OURS[f"efficientnet_{name}"] = partial(networks.EfficientNet, name)
OURS["convnext_tiny"] = networks.ConvNeXt
for name, network in WITH_HEADS.items():
    OURS[name] = partial(network, aux=True)
    OURS[f"{name} without heads"] = partial(network, aux=False)


def reference(variant):
    """Torchvision's network, on no device: without numbers."""
    name, _, without = variant.partition(" ")
    options = {}
    if name in WITH_HEADS:
        options = {"aux_logits": not without, "init_weights": False}
    with torch.device("meta"):
        return models.get_model(name, weights=None, **options)


@pytest.mark.parametrize("variant", OURS)
def test_parameters_and_multiply_adds_are_torchvisions(variant):
    theirs = reference(variant)
    with torch.device("meta"):
        ours = OURS[variant]()
        weights = models.get_model_weights(variant.partition(" ")[0]).DEFAULT
        size = weights.transforms().crop_size[0]
        example = torch.empty(1, 3, size, size)
    assert count_parameters(ours) == count_parameters(theirs)
    # 1,000 classes is the default; 10 change the last layers and nothing else
    with torch.device("meta"):
        few = OURS[variant](num_classes=10).state_dict()
    heads = {k for k, v in ours.state_dict().items() if v.shape != few[k].shape}
    assert {v.shape[0] for k, v in few.items() if k in heads} == {10}
    assert len(heads) in (2, 4, 6)
    work = networks.count_multiply_adds(ours, example)
    assert round(work / 1e9, 3) == weights.meta["_ops"]


PAPERS = {  # the numbers that papers and torchvision's pages give
    "alexnet": 61_100_840,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "googlenet": 13_004_888,
    "googlenet without heads": 6_624_904,
    "inception_v3": 27_161_264,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "resnext50_32x4d": 25_028_904,
    "mobilenet_v2": 3_504_872,
    "mnasnet1_0": 4_383_312,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b7": 66_347_960,
}


@pytest.mark.parametrize("variant", PAPERS)
def test_parameter_counts(variant):
    with torch.device("meta"):
        assert count_parameters(OURS[variant]()) == PAPERS[variant]


def in_order(theirs):
    """Their numbers in the order of ours: as they stand, the auxiliary heads last."""
    state = theirs.state_dict()
    order = sorted(state, key=lambda name: "aux" in name.lower())
    return [state[name] for name in order]


def fill(model):
    """Draw every number of a network anew, batch norm's included."""
    model.to_empty(device="cpu")
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
        elif tensor.dim() == 1:  # biases; scales, shifts, means, variances
            tensor.uniform_(0.5, 1.5)
        else:
            bound = (6 / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound)


@torch.no_grad()
@pytest.mark.parametrize("variant", OURS)
def test_outputs_are_torchvisions(variant):
    torch.manual_seed(0)
    theirs = reference(variant).double()
    fill(theirs)
    with torch.device("meta"):
        ours = OURS[variant]().double()
    small = [x.clone() if x.numel() < 10_000 else x for x in in_order(theirs)]
    state = {}
    for (key, mine), value in zip(ours.state_dict().items(), small, strict=True):
        # ConvNeXt: their linear layers over the channels are our 1 × 1 convolutions
        linear = (mine.dim(), value.dim()) == (4, 2)
        state[key] = value[..., None, None] if linear else value
    ours.load_state_dict(state, assign=True)  # refuses a wrong shape
    # The head of Inception needs maps of 17 × 17; the others take any picture.
    size = 299 if variant == "inception_v3" else 96
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    for training in (True, False):
        outputs = []
        for model in (ours.train(training), theirs.train(training)):
            torch.manual_seed(2)  # the same units are dropped
            out = model(images)
            outputs.append(list(out) if isinstance(out, tuple) else [out])
        mine, right = outputs
        if len(right) == 3:  # GoogLeNet: they name the second head first
            right = [right[0], right[2], right[1]]
        assert len(mine) == len(right)
        for a, b in zip(mine, right, strict=True):
            assert b.std() > 1e-3  # dead networks would agree as well
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    for a, b in zip(ours.state_dict().values(), in_order(theirs), strict=True):
        if a.data_ptr() != b.data_ptr():  # the running means, among others
            torch.testing.assert_close(a, b)


CLASSIFIERS = [
    name
    for name in models.list_models(module=models)
    # attention multiplies outside of layers; RegNet cannot be built without numbers
    if not name.startswith(("vit", "swin", "maxvit", "regnet"))
]


def test_multiply_adds_of_every_convolutional_classifier():
    assert len(CLASSIFIERS) > 50
    for name in CLASSIFIERS:
        weights = next(iter(models.get_model_weights(name)))
        size = weights.transforms().crop_size[0]
        model = reference(name)
        example = torch.empty(1, 3, size, size, device="meta")
        work = networks.count_multiply_adds(model, example)
        assert abs(work / 1e9 - weights.meta["_ops"]) < 6e-4, name


def test_counting_leaves_the_network_as_it_was():
    model = networks.resnet("resnet18")
    model.layer1.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    networks.count_multiply_adds(model, torch.randn(1, 3, 64, 64))
    assert model.training
    assert model.layer2[0].bn1.training
    assert not model.layer1[0].bn1.training
    assert not any(m._forward_hooks for m in model.modules())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    model.fc = torch.nn.Linear(7, 7)  # an error on the way leaves nothing behind
    with pytest.raises(RuntimeError):
        networks.count_multiply_adds(model, torch.randn(1, 3, 64, 64))
    assert not any(m._forward_hooks for m in model.modules())


def test_lenet_has_the_numbers_of_the_paper():
    """LeCun et al. (1998), section II.B: 60,000 trainable parameters."""
    assert count_parameters(networks.LeNet5()) == 60_000
    today = networks.LeNet(num_classes=10)
    assert count_parameters(today) == 62_006
    # (25·3+1)·6 + (25·6+1)·16 + 401·120 + 121·84 + 85·10, with each weight used
    # 28², 10² and once
    by_hand = 450 * 28**2 + 2_400 * 10**2 + 400 * 120 + 120 * 84 + 84 * 10
    example = torch.zeros(1, 3, 32, 32)
    assert networks.count_multiply_adds(today, example) == by_hand
    assert networks.LeNet()(example).shape == (1, 1000)
