"""What the chapters on fine-tuning build: chains, bodies and heads, Grad-CAM, files."""

import copy

import pytest
import torch
from torch import nn, optim
from torchvision import models

from helpers.pretrained import (
    WeightsError,
    check_classes,
    head_of,
    load_pretrained,
    replace_head,
)
from helpers.training import fit
from tests.conftest import from_chapter


def lively(model):
    """Put a network of random numbers into a mode in which its features differ.

    In evaluation mode nearly nothing comes through an untrained MobileNet, and a
    comparison could not fail.
    """
    for layer in model.train().modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    return model


# --- cats and dogs --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_chain_and_head_are_the_network(name):
    stages_of = from_chapter("20_cats_dogs", ["stages_of"])["stages_of"]
    torch.manual_seed(0)
    model = lively(models.get_model(name, weights=None).double())
    noise = torch.randn(4, 3, 96, 96, dtype=torch.float64)
    features = stages_of(model)(noise)
    assert features.std() > 0.01
    head = model.get_submodule(head_of(model))
    torch.testing.assert_close(head(features), model(noise))


@pytest.mark.parametrize("name", ["resnet18", "alexnet", "vgg13", "mobilenet_v2"])
def test_a_new_head_has_two_outputs_and_alone_learns(name):
    model = models.get_model(name, weights=None)
    model.requires_grad_(False)
    replace_head(model, 2)
    learning = [key for key, p in model.named_parameters() if p.requires_grad]
    assert learning == [f"{head_of(model)}.weight", f"{head_of(model)}.bias"]
    before = copy.deepcopy(model.state_dict())
    logits = model.eval()(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 2)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    optimizer.step()
    after = model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == set(learning)


def test_batch_norm_of_the_tuned_tail_stays_as_it_is():
    tuned_class = from_chapter("20_cats_dogs", ["Tuned"])["Tuned"]
    tail = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten())
    model = tuned_class(tail, nn.Linear(64, 2))
    before = copy.deepcopy(model.state_dict())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model.train()(torch.randn(8, 3, 4, 4)).sum().backward()
    optimizer.step()
    after = model.state_dict()
    same = {key for key in before if torch.equal(before[key], after[key])}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert same == {f"tail.1.{key}" for key in statistics}
    assert model.training
    assert model.head.training


def test_fit_keeps_the_best_weights_and_not_the_last():
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    x, y = torch.randn(16, 2), torch.arange(16) % 2
    kept = {}

    def after(epoch, model):
        kept[epoch] = copy.deepcopy(model.state_dict())

    optimizer = optim.SGD(model.parameters(), 50.0)  # far too large: it gets worse
    options = {"val_loader": [(x, y)], "after_epoch": after}
    history = fit(model, [(x, y)], nn.CrossEntropyLoss(), optimizer, 6, **options)
    best = min(range(6), key=lambda i: history["val_loss"][i]) + 1
    assert best < 6
    torch.testing.assert_close(history.best_state, kept[best], rtol=0, atol=0)
    assert history.best_state["weight"].data_ptr() != model.weight.data_ptr()


def test_stand_in_weights_run_without_files(data_folder):
    first = load_pretrained("resnet18", "mobilenet_v2", stand_in=True)
    again = load_pretrained("resnet18", "mobilenet_v2", stand_in=True)
    assert first.name == "mobilenet_v2"
    assert "random" in first.source
    torch.testing.assert_close(first.model.state_dict(), again.model.state_dict())


# --- ants and bees --------------------------------------------------------------------


@pytest.fixture(scope="module")
def chapter():
    wanted = [
        "Classifier", "margin", "grad_cam", "bins_of", "calibration_error",
        "fit_temperature", "save_classifier", "load_classifier",
    ]  # fmt: skip
    return from_chapter("21_ants_bees", wanted)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_body_and_head_are_the_network(chapter, name):
    torch.manual_seed(0)
    network = models.get_model(name, weights=None)
    ours = lively(chapter["Classifier"](copy.deepcopy(network), 2).double())
    ours.head = replace_head(lively(network.double()), 2)
    noise = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    assert ours.features(noise).std() > 0.01
    torch.testing.assert_close(ours(noise), network(noise))


@pytest.mark.parametrize("keep", [True, False])
def test_batch_norm_stays_only_if_asked(chapter, keep):
    network = models.resnet18(weights=None)
    model = chapter["Classifier"](network, 2, keep_statistics=keep).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training is not keep for norm in norms)
    assert model.head.training
    before = copy.deepcopy(model.state_dict())
    model(torch.randn(4, 3, 64, 64))
    same = all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert same is keep
    assert not any(m.training for m in model.eval().modules())


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "densenet121"])
def test_grad_cam_weights_are_slopes(chapter, name):
    """How the score answers to raising a whole map: alpha times its places."""
    torch.manual_seed(0)
    model = models.get_model(name, weights=None, num_classes=3).double().eval()
    x, target = torch.randn(1, 3, 96, 96, dtype=torch.float64), torch.tensor([1])
    layer = model.features
    _, alpha = chapter["grad_cam"](model, layer, x, target)

    def raised(k, by):
        def change(module, inputs, output):
            output = output.clone()
            output[:, k] += by
            return output

        handle = layer.register_forward_hook(change)
        with torch.no_grad():
            score = chapter["margin"](model(x), target)
        handle.remove()
        return score

    places = layer(x)[0, 0].numel()
    slopes = [(raised(k, 1e-6) - raised(k, -1e-6)) / 2e-6 for k in range(3)]
    slopes = torch.stack(slopes, dim=1)
    assert slopes.abs().max() > 1e-6
    torch.testing.assert_close(alpha[:, :3] * places, slopes, rtol=1e-4, atol=1e-8)


def test_grad_cam_leaves_no_hook_behind(chapter):
    model = models.resnet18(weights=None, num_classes=2).requires_grad_(False)
    grey = torch.zeros(1, 1, 64, 64)  # one channel instead of three
    with pytest.raises(RuntimeError):
        chapter["grad_cam"](model, model.layer4, grey, torch.tensor([0]))
    assert not model.layer4._forward_hooks


def test_calibration_error(chapter):
    error = chapter["calibration_error"]
    confidence = torch.tensor([0.95, 0.95, 0.95, 0.95, 1.0])
    right = torch.tensor([True, True, False, False, True])
    # one bin from 0.9 on: 3 of 5 right, mean confidence 0.96
    assert error(confidence, right) == pytest.approx(0.36, abs=1e-6)
    assert error(torch.ones(3), torch.ones(3).bool()) == 0


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_temperature_is_found(chapter, true):
    """Labels drawn from softmax(z): logits z * true need the temperature `true`."""
    torch.manual_seed(0)
    z = 2 * torch.randn(40_000, 3)
    labels = torch.multinomial(z.softmax(1), 1).squeeze(1)
    found = chapter["fit_temperature"](true * z, labels)
    assert found == pytest.approx(true, rel=0.05)


def test_temperature_stays_where_nothing_is_wrong(chapter):
    """The loss would fall for ever as the temperature goes to 0."""
    z = torch.tensor([[3.0, 0.0], [0.3, 1.0]])
    assert chapter["fit_temperature"](z, torch.tensor([0, 1])) == 1


def make_file(chapter, path, classes=("ants", "bees")):
    recipe = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    model = chapter["Classifier"](models.resnet18(weights=None), len(classes))
    chapter["save_classifier"](path, model, "resnet18", classes, recipe, 224)
    return model


def test_the_file_gives_the_same_model(chapter, tmp_path):
    path = tmp_path / "größe 1.pt"
    model = lively(make_file(chapter, path))
    loaded, view, classes = chapter["load_classifier"](path)
    x = view(torch.randint(0, 256, (2, 3, 300, 400), dtype=torch.uint8))
    assert x.shape == (2, 3, 224, 224)
    assert classes == ["ants", "bees"]
    torch.testing.assert_close(lively(loaded)(x), model(x), rtol=0, atol=0)


def test_files_that_are_not_ours(chapter, tmp_path):
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 half a file")
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "bare.pt")
    make_file(chapter, tmp_path / "good.pt")
    content = torch.load(tmp_path / "good.pt", weights_only=True)
    torch.save(content | {"network": "mobilenet_v2"}, tmp_path / "other.pt")
    for name, match in [
        ("cut.pt", "damaged"),
        ("bare.pt", "holds no classes"),
        ("other.pt", "not those of mobilenet_v2"),
    ]:
        with pytest.raises(WeightsError, match=match):
            chapter["load_classifier"](tmp_path / name)
    with pytest.raises(FileNotFoundError):
        chapter["load_classifier"](tmp_path / "none.pt")


@pytest.mark.parametrize(
    "found",
    [["Bees", "ants"], ["bees", "ants"], ["ants"], ["ants", "bees", "wasp"], []],
)
def test_class_lists_that_do_not_match(found):
    with pytest.raises(WeightsError):
        check_classes(["ants", "bees"], found)
