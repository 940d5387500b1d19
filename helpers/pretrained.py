"""Networks with weights from ImageNet, and how to give them a new head.

Taught in "Using a pretrained network", which shows most of it.
"""

import hashlib
import itertools
import math
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torchvision import models

from helpers.data import data_folder


class WeightsError(RuntimeError):
    """Weights are missing, damaged or of another network; the message says which."""


@dataclass
class Pretrained:
    """A network, what its pictures need, and what its outputs mean.

    Attributes:
        name: torchvision's, such as ``"resnet18"``.
        model: the network, in evaluation mode, on the CPU.
        transforms: PIL photo, or uint8 (N, 3, H, W), to normalised float.
        categories: the name of each output, in the order of the outputs.
        source: a few words that say where the weights come from.

    Raises:
        WeightsError: there are more or fewer names than outputs.
    """

    name: str
    model: nn.Module
    transforms: Callable
    categories: Sequence[str]
    source: str

    def __post_init__(self):
        outputs = len(self.model.get_submodule(head_of(self.model)).weight)
        names = len(self.categories)
        if outputs != names:
            raise WeightsError(
                f"{self.name} has {outputs} outputs, but there are {names} class names."
            )


# Weights in other forms than torchvision's, in the folder "weights" of the data folder.
CONVERTED = {
    "squeezenet1_1": (
        "squeezenet1_1-imagenet1k_v1-fp16.pth",
        "the weights of torchvision, which somebody stored in half precision",
    ),
    "mobilenet_v2": (
        "mobilenet_v2-imagenet-tf2ptq-converted.pth",
        "weights of Google, 8-bit numbers turned into floats, not those of torchvision",
    ),
}


def load_pretrained(*names: str, stand_in: bool = False) -> Pretrained:
    """Return the first of these torchvision classifiers whose weights can be had.

    torchvision's weights IMAGENET1K_V1, from its cache or from the network, checked
    against the digest in the name of their file; else a file in the folder ``weights``
    of the data folder, ``resnet18.pth`` or one of `CONVERTED`. A server that sends
    nothing for ten seconds counts as away.

    Args:
        names: torchvision's, in the order of preference.
        stand_in: give the smallest of the networks with random weights, always the
            same. It knows nothing; it lets code run without any weights.

    Raises:
        WeightsError: none can be had; the message says what was tried. Or a file in
            the data folder is damaged or of another network.
        ValueError: torchvision knows no such network.
    """
    labels = {name: first_weights(name) for name in names}
    ways = (from_torchvision, from_data_folder)
    if stand_in:
        names = [min(names, key=lambda name: labels[name].meta["num_params"])]
        ways = [random_numbers]
    tried = []
    for name, way in itertools.product(names, ways):
        label = labels[name]
        try:
            model, source = way(name, label)
        except OSError as error:
            tried.append(f"- {name}: {error}")
            continue
        categories = label.meta["categories"]
        return Pretrained(name, model.eval(), label.transforms(), categories, source)
    raise WeightsError(
        "\n".join(["No weights are to be had:", *tried, "Try again, or put "])
        + f"{Path(label.url).name} as {name}.pth into {data_folder() / 'weights'}."
    )


def first_weights(name: str) -> models.WeightsEnum:
    """Return the label of a network's first weights; nothing is downloaded."""
    offered = models.get_model_weights(name).__members__
    if "IMAGENET1K_V1" not in offered:
        raise WeightsError(f"{name} has no IMAGENET1K_V1, only {', '.join(offered)}.")
    return offered["IMAGENET1K_V1"]


def from_torchvision(name: str, label: models.WeightsEnum) -> tuple[nn.Module, str]:
    """Have torchvision's file whole in its cache, and load it."""
    file = Path(torch.hub.get_dir(), "checkpoints", Path(label.url).name)
    digest = file.stem.rpartition("-")[2]  # "f37072fd" of "resnet18-f37072fd.pth"
    if not (file.exists() and is_whole(file, digest)):
        file.parent.mkdir(parents=True, exist_ok=True)
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(10)  # seconds; without it a silent server stops us
        try:
            torch.hub.download_url_to_file(label.url, file, digest, progress=False)
        except RuntimeError as error:  # what came has another digest
            raise OSError(str(error)) from error
        finally:
            socket.setdefaulttimeout(patience)
    model = without_auxiliary(models.get_model(name, weights=label))
    return model, "the weights IMAGENET1K_V1 of torchvision"


def is_whole(file: Path, digest: str) -> bool:
    """Say whether the SHA-256 of the file begins like this."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(digest)


def from_data_folder(name: str, label: models.WeightsEnum) -> tuple[nn.Module, str]:
    """Load a file that somebody has put into the folder "weights"."""
    file, source = CONVERTED.get(name, (f"{name}.pth", f"the weights in {name}.pth"))
    state = read_weights(data_folder() / "weights" / file)
    if isinstance(state, dict):  # DenseNet's files say "norm.1" for "norm1"
        old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
        state = {old.sub(r"\1\2", str(key)): value for key, value in state.items()}
    model = build(name)
    load_weights(model, state, name)
    return without_auxiliary(model), source


def random_numbers(name: str, label: models.WeightsEnum) -> tuple[nn.Module, str]:
    """Make a network that has learned nothing, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return without_auxiliary(build(name)), "random numbers: it knows nothing"


def build(name: str) -> nn.Module:
    """Build a network without weights, as torchvision's first weights need it."""
    options = {}
    if name in ("googlenet", "inception_v3"):  # learned from pixels of another scale
        options = {"transform_input": True, "init_weights": False}
    return models.get_model(name, weights=None, **options)


def without_auxiliary(model: nn.Module) -> nn.Module:
    """Switch auxiliary heads off, which change what a network returns in training."""
    if getattr(model, "aux_logits", False):
        model.aux_logits = False
        for name in {"aux1", "aux2", "AuxLogits"} & dict(model.named_children()).keys():
            setattr(model, name, None)
    return model


def read_weights(path: Path | str) -> dict:
    """Read a file of weights, and nothing but weights, to the CPU.

    Raises:
        WeightsError: the file cannot be read, or holds other objects. Single wrong
            bytes can pass.
        FileNotFoundError: there is no such file.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except (FileNotFoundError, PermissionError):
        raise  # they say themselves what is wrong
    except Exception as error:  # what is no file of weights can fail in any way
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise WeightsError(
            f"{path} is damaged, or no file of weights. Get it again. ({reason})"
        ) from error


def load_weights(model: nn.Module, state: dict, name: str) -> None:
    """Load a state_dict strictly, in the model's own precision.

    Raises:
        WeightsError: it is not one of this network. The model stays as it was.
    """
    if not isinstance(state, dict):
        raise WeightsError(f"This is no state_dict but a {type(state).__name__}.")
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"This is no state_dict; its entries are {list(state)[:4]}.")
    own = model.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = own.keys() - state.keys() - counters  # old files lack the counters
    extra = state.keys() - own.keys()
    both = own.keys() & state.keys()
    other = {key for key in both if own[key].shape != state[key].shape}
    if missing or extra or other:
        raise WeightsError(
            f"These weights are not those of {name}, which has {len(own)} tensors: "
            f"{len(missing)} are missing, {len(other)} have another shape, "
            f"{len(extra)} do not belong to it. See {min(other or missing or extra)}."
        )
    own.update({key: state[key].to(own[key].dtype) for key in both})
    model.load_state_dict(own)  # own also holds the version of the layout


def head_of(model: nn.Module) -> str:
    """Return the name of the layer that makes the logits, such as "fc"."""
    kinds = (nn.Linear, nn.Conv2d)
    layers = [name for name, layer in model.named_modules() if isinstance(layer, kinds)]
    if not layers:
        raise WeightsError("This network has no linear layer and no convolution.")
    return layers[-1]


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Put a fresh last layer with `num_classes` outputs in place; return that layer."""
    name = head_of(model)
    old = model.get_submodule(name)
    where = {"device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, num_classes, **where)
    else:  # SqueezeNet ends in a 1 × 1 convolution
        new = nn.Conv2d(old.in_channels, num_classes, old.kernel_size, **where)
    model.set_submodule(name, new)
    return new


def check_classes(trained: Sequence[str], found: Sequence[str]) -> None:
    """Compare the classes that a network was trained on with those of a data set.

    Raises:
        WeightsError: they differ, or stand in another order.
    """
    if list(trained) != list(found):
        same = sorted(trained) == sorted(found)
        raise WeightsError(
            f"The network was trained on {', '.join(trained)}; these classes are "
            f"{', '.join(found)}{', in another order' if same else ''}."
        )


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval for a share, by default of 95 %, from 0 to 1.

    Args:
        right: how many of n.
        n: how many in all, at least 1.
        z: standard errors on either side.
    """
    share, square = right / n, z**2 / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return middle - half, middle + half
