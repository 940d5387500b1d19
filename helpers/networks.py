"""The networks of the book, gathered from the chapters that teach them.

Written by ``.ci/gather.py`` out of the cells with the tag ``export``; a test keeps the
two equal. Edit the chapter, not this file.
"""

import copy
import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

# --- taught in chapters/09_why_convolutions.ipynb, “Why convolutions” -----------------


@torch.no_grad()
def count_multiply_adds(model, example):
    """Return the multiply-adds of all Conv2d and Linear layers for one example.

    Products alone, as is the custom: no biases, normalisation, activations, pooling.

    Args:
        model: any network; a copy of it is run, in evaluation mode.
        example: a batch that the network takes, on its device.
    """
    counts = []

    def note(layer, inputs, output):
        # each number that comes out is a sum of weight[0].numel() products
        counts.append(output[0].numel() * layer.weight[0].numel())

    model = copy.deepcopy(model).eval()  # the caller's network stays as it is
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(note)
    model(example)
    return sum(counts)


# --- taught in chapters/10_lenet.ipynb, “LeNet” ---------------------------------------


def scaled_tanh(a):
    """LeNet-5's activation: 1 goes to 1 and -1 to -1, well before it saturates."""
    return 1.7159 * torch.tanh(2 / 3 * a)


class Subsampling(nn.Module):
    """Halve the picture by averaging, then one weight and one bias a channel."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):  # (N, C, H, W) -> (N, C, H/2, W/2)
        return self.weight * F.avg_pool2d(x, 2) + self.bias


# Table I of the paper: the channels of S2 that each of the 16 channels of C3 sees.
C3_ROWS = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
C3_TABLE = [[int(channel) for channel in row] for row in C3_ROWS.split()]


class PartialConv(nn.Module):
    """A 5 x 5 convolution with kernels only for the pairs of channels in a table."""

    def __init__(self, in_channels, table):
        super().__init__()
        pairs = [(out, seen) for out, row in enumerate(table) for seen in row]
        pairs_at = torch.tensor(pairs).T  # (2, number of pairs); a constant: not saved
        self.register_buffer("pairs", pairs_at, persistent=False)
        self.shape = (len(table), in_channels, 5, 5)
        # Weights as nn.Conv2d would draw them, for the channels that each output sees.
        fan_in = torch.tensor([25.0 * len(table[out]) for out, _ in pairs])
        weight = (2 * torch.rand(len(pairs), 5, 5) - 1) / fan_in.sqrt().view(-1, 1, 1)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(table)))

    def forward(self, x):  # (N, 6, 14, 14) -> (N, 16, 10, 10)
        kernels = self.weight.new_zeros(self.shape)  # zero where the table has no pair
        kernels[tuple(self.pairs)] = self.weight
        return F.conv2d(x, kernels, self.bias)


class CodeOutput(nn.Module):
    """Minus the squared distance from each class's code of -1 and 1, as logits."""

    def __init__(self, in_features, num_classes):
        super().__init__()
        generator = torch.Generator().manual_seed(1998)  # the same codes every time
        bits = torch.randint(2, (num_classes, in_features), generator=generator)
        self.register_buffer("codes", 2.0 * bits - 1)  # a buffer: saved, not trained

    def forward(self, x):  # (N, 84) -> (N, num_classes)
        return -(x[:, None] - self.codes).square().sum(dim=2)


class LeNet5(nn.Module):
    """LeNet-5 as it was in 1998, but for the codes of its output, drawn at random."""

    def __init__(self, num_classes=10):  # ten digits; the codes are no parameters
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, kernel_size=5)
        self.s2 = Subsampling(6)
        self.c3 = PartialConv(6, C3_TABLE)
        self.s4 = Subsampling(16)
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.f6 = nn.Linear(120, 84)
        self.output = CodeOutput(84, num_classes)

    def forward(self, x):  # (N, 1, 32, 32)
        x = scaled_tanh(self.s2(scaled_tanh(self.c1(x))))  # (N, 6, 14, 14)
        x = scaled_tanh(self.s4(scaled_tanh(self.c3(x))))  # (N, 16, 5, 5)
        x = scaled_tanh(self.c5(x)).flatten(start_dim=1)  # (N, 120)
        return self.output(scaled_tanh(self.f6(x)))  # (N, num_classes)


class LeNet(nn.Module):
    """LeNet as it is written today; activation and pooling can be swapped."""

    def __init__(
        self, num_classes=1000, in_channels=3, activation=nn.ReLU, pool=nn.MaxPool2d
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        self.activation, self.pool = activation(), pool(2)

    def forward(self, x):  # (N, 3, 32, 32)
        x = self.pool(self.activation(self.conv1(x)))  # (N, 6, 14, 14)
        x = self.pool(self.activation(self.conv2(x)))  # (N, 16, 5, 5)
        x = x.flatten(start_dim=1)  # (N, 400)
        x = self.activation(self.fc1(x))  # (N, 120)
        x = self.activation(self.fc2(x))  # (N, 84)
        return self.fc3(x)  # (N, num_classes), the logits


# --- taught in chapters/11_alexnet_vgg.ipynb, “AlexNet and VGG” -----------------------


def alexnet_features(in_channels=3):
    """Return AlexNet's convolutions: (N, 3, 224, 224) gives (N, 256, 6, 6)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, kernel_size=11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(64, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(192, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


class AlexNet(nn.Module):
    """AlexNet as in Krizhevsky (2014), "One weird trick"; returns logits.

    Takes pictures (N, in_channels, H, W) of 63 pixels a side or more, made for 224.
    """

    def __init__(self, num_classes=1000, in_channels=3, dropout=0.5):
        super().__init__()
        self.features = alexnet_features(in_channels)
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x):  # (N, 3, 224, 224)
        x = self.avgpool(self.features(x))  # (N, 256, 6, 6)
        return self.classifier(x.flatten(start_dim=1))


VGG_WIDTHS = (64, 128, 256, 512, 512)  # channels of each stage
VGG_STAGES = {  # convolutions in each stage
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def vgg_features(depth, batch_norm=False, in_channels=3):
    """Return VGG's convolutions: (N, 3, 224, 224) gives (N, 512, 7, 7)."""
    layers = []
    for n_convolutions, channels in zip(VGG_STAGES[depth], VGG_WIDTHS, strict=True):
        for _ in range(n_convolutions):
            layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU())
            in_channels = channels
        layers.append(nn.MaxPool2d(kernel_size=2))  # the stage ends at half the side
    return nn.Sequential(*layers)


def initialise_vgg(module):
    """Draw a module's start weights: He's for a convolution, small ones if linear."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


class VGG(nn.Module):
    """VGG-11, 13, 16 or 19 as in Simonyan and Zisserman (2015); returns logits.

    Takes pictures (N, in_channels, H, W) of 32 pixels a side or more, made for 224.
    """

    def __init__(
        self, depth=16, batch_norm=False, num_classes=1000, in_channels=3, dropout=0.5
    ):
        super().__init__()
        self.features = vgg_features(depth, batch_norm, in_channels)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        self.apply(initialise_vgg)  # calls it with every module

    def forward(self, x):  # (N, 3, 224, 224)
        x = self.avgpool(self.features(x))  # (N, 512, 7, 7)
        return self.classifier(x.flatten(start_dim=1))


# --- taught in chapters/12_googlenet_inception.ipynb, “GoogLeNet and Inception” -------


class BasicConv2d(nn.Sequential):
    """Convolution, batch normalisation, ReLU: (N, in, H, W) to (N, out, H, W)."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding="same"
    ):
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding, bias=False
            ),
            nn.BatchNorm2d(out_channels, eps=0.001),
            nn.ReLU(inplace=True),
        )


class Branches(nn.Module):
    """Give one input to every branch and stack the channels that they return."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def conv_chain(channels, *steps):
    """Chain convolutions; a step is (out channels, kernel, stride, padding)."""
    layers = []
    for out_channels, *options in steps:
        layers.append(BasicConv2d(channels, out_channels, *options))
        channels = out_channels
    return nn.Sequential(*layers)


def pooled_branch(pool, in_channels, out_channels):
    """Pool, then set the number of channels with a 1 × 1 convolution."""
    return nn.Sequential(pool, BasicConv2d(in_channels, out_channels, 1))


class InceptionModule(Branches):
    """Four views of one input (Szegedy et al., 2015).

    `middle` and `wide` are pairs, the reduced channels and those that come out.
    """

    def __init__(self, in_channels, narrow, middle, wide, pooled, wide_kernel=3):
        super().__init__(
            conv_chain(in_channels, (narrow, 1)),
            conv_chain(in_channels, (middle[0], 1), (middle[1], 3)),
            conv_chain(in_channels, (wide[0], 1), (wide[1], wide_kernel)),
            pooled_branch(nn.MaxPool2d(3, 1, padding=1), in_channels, pooled),
        )


GOOGLENET = {  # in, 1×1, (reduced, 3×3), (reduced, 5×5), after the pooling
    "3a": (192, 64, (96, 128), (16, 32), 32),
    "3b": (256, 128, (128, 192), (32, 96), 64),
    "pool3": 3,  # its window
    "4a": (480, 192, (96, 208), (16, 48), 64),
    "4b": (512, 160, (112, 224), (24, 64), 64),
    "4c": (512, 128, (128, 256), (24, 64), 64),
    "4d": (512, 112, (144, 288), (32, 64), 64),
    "4e": (528, 256, (160, 320), (32, 128), 128),
    "pool4": 2,
    "5a": (832, 256, (160, 320), (32, 128), 128),
    "5b": (832, 384, (192, 384), (48, 128), 128),
}


class InceptionNet(nn.Module):
    """Layers by name, with auxiliary heads that are asked only in training.

    Returns logits (N, num_classes); in training a tuple, with those of the heads.
    """

    def __init__(self, layers, heads, out_channels, num_classes, dropout):
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(out_channels, num_classes)
        self.heads = nn.ModuleDict(heads)

    def forward(self, x):
        auxiliary = []
        for name, layer in self.layers.items():
            x = layer(x)
            if self.training and name in self.heads:
                auxiliary.append(self.heads[name](x))
        x = x.mean(dim=(2, 3))  # global average pooling: (N, out_channels)
        logits = self.fc(self.dropout(x))
        return (logits, *auxiliary) if auxiliary else logits


class GoogLeNetHead(nn.Sequential):
    """A small classifier for feature maps (N, in_channels, H, W) of any size."""

    def __init__(self, in_channels, num_classes, channels=128, hidden=1024):
        super().__init__(
            nn.AdaptiveAvgPool2d(4),
            BasicConv2d(in_channels, channels, 1),
            nn.Flatten(),
            nn.Linear(channels * 4 * 4, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.7),
            nn.Linear(hidden, num_classes),
        )


def googlenet_layers(in_channels=3, wide_kernel=3):
    """Return the stem, the nine modules and the poolings by name."""
    layers = {
        "conv1": BasicConv2d(in_channels, 64, 7, stride=2, padding=3),
        "pool1": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        "conv2": BasicConv2d(64, 64, 1),
        "conv3": BasicConv2d(64, 192, 3),
        "pool2": nn.MaxPool2d(3, stride=2, ceil_mode=True),
    }
    for name, row in GOOGLENET.items():
        if name.startswith("pool"):
            layers[name] = nn.MaxPool2d(row, stride=2, ceil_mode=True)
        else:
            layers[name] = InceptionModule(*row, wide_kernel)
    return layers


class GoogLeNet(InceptionNet):
    """GoogLeNet as in torchvision; with `wide_kernel=5` as in Szegedy et al., 2015."""

    def __init__(self, num_classes=1000, in_channels=3, aux=True, wide_kernel=3):
        heads = {}
        if aux:
            heads["4a"] = GoogLeNetHead(512, num_classes)
            heads["4d"] = GoogLeNetHead(528, num_classes)
        layers = googlenet_layers(in_channels, wide_kernel)
        super().__init__(layers, heads, 1024, num_classes, dropout=0.2)


class InceptionA(Branches):
    """Large maps: 5 × 5, and two 3 × 3 in a row (Szegedy et al., 2016)."""

    def __init__(self, in_channels, pooled):
        super().__init__(
            conv_chain(in_channels, (64, 1)),
            conv_chain(in_channels, (48, 1), (64, 5)),
            conv_chain(in_channels, (64, 1), (96, 3), (96, 3)),
            pooled_branch(nn.AvgPool2d(3, 1, padding=1), in_channels, pooled),
        )


class InceptionB(Branches):
    """Halve the map with a stride of 2, three ways (Szegedy et al., 2016)."""

    def __init__(self, in_channels):
        super().__init__(
            conv_chain(in_channels, (384, 3, 2, 0)),
            conv_chain(in_channels, (64, 1), (96, 3), (96, 3, 2, 0)),
            nn.Sequential(nn.MaxPool2d(3, stride=2)),
        )


class InceptionC(Branches):
    """Middle-sized maps: 7 × 7 as a row and a column (Szegedy et al., 2016).

    `c` is the number of channels between row and column.
    """

    def __init__(self, in_channels, c):
        row, column = (1, 7), (7, 1)
        twice = [(c, 1), (c, column), (c, row), (c, column), (192, row)]
        super().__init__(
            conv_chain(in_channels, (192, 1)),
            conv_chain(in_channels, (c, 1), (c, row), (192, column)),
            conv_chain(in_channels, *twice),
            pooled_branch(nn.AvgPool2d(3, 1, padding=1), in_channels, 192),
        )


class InceptionD(Branches):
    """Halve the map again (Szegedy et al., 2016)."""

    def __init__(self, in_channels):
        sevens = [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, 0)]
        super().__init__(
            conv_chain(in_channels, (192, 1), (320, 3, 2, 0)),
            conv_chain(in_channels, *sevens),
            nn.Sequential(nn.MaxPool2d(3, stride=2)),
        )


class InceptionE(Branches):
    """Small maps: row and column beside each other (Szegedy et al., 2016)."""

    def __init__(self, in_channels):
        def fork():
            row, column = (1, 3), (3, 1)
            return Branches(BasicConv2d(384, 384, row), BasicConv2d(384, 384, column))

        super().__init__(
            conv_chain(in_channels, (320, 1)),
            conv_chain(in_channels, (384, 1)).append(fork()),
            conv_chain(in_channels, (448, 1), (384, 3)).append(fork()),
            pooled_branch(nn.AvgPool2d(3, 1, padding=1), in_channels, 192),
        )


class InceptionV3Head(nn.Sequential):
    """The auxiliary head: it needs maps of 17 × 17."""

    def __init__(self, in_channels, num_classes):
        super().__init__(
            nn.AvgPool2d(5, stride=3),  # 17 becomes 5
            BasicConv2d(in_channels, 128, 1),
            BasicConv2d(128, 768, 5, padding=0),  # 5 becomes 1
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(768, num_classes),
        )


def inception_v3_stem(in_channels=3):
    """Return the five convolutions and two poolings below the modules."""
    return {
        "conv1": BasicConv2d(in_channels, 32, 3, stride=2, padding=0),
        "conv2": BasicConv2d(32, 32, 3, padding=0),
        "conv3": BasicConv2d(32, 64, 3),
        "pool3": nn.MaxPool2d(3, stride=2),
        "conv4": BasicConv2d(64, 80, 1),
        "conv5": BasicConv2d(80, 192, 3, padding=0),
        "pool5": nn.MaxPool2d(3, stride=2),
    }


class InceptionV3(InceptionNet):
    """Inception v3 of Szegedy et al., 2016, for pictures of 299 × 299."""

    def __init__(self, num_classes=1000, in_channels=3, aux=True):
        layers = inception_v3_stem(in_channels) | {
            "5b": InceptionA(192, 32),
            "5c": InceptionA(256, 64),
            "5d": InceptionA(288, 64),
            "6a": InceptionB(288),
            "6b": InceptionC(768, 128),
            "6c": InceptionC(768, 160),
            "6d": InceptionC(768, 160),
            "6e": InceptionC(768, 192),
            "7a": InceptionD(768),
            "7b": InceptionE(1280),
            "7c": InceptionE(2048),
        }
        heads = {"6e": InceptionV3Head(768, num_classes)} if aux else {}
        super().__init__(layers, heads, 2048, num_classes, dropout=0.5)


# --- taught in chapters/13_resnet.ipynb, “ResNet” -------------------------------------


def start_like_he(model):
    """He initialisation for all convolutions, as torchvision has it for ResNets."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def residual_shortcut(in_channels, out_channels, stride):
    """Return the identity where the shapes fit, else a projection (He et al., 2016)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut: ResNet-18 and 34 (He et al., 2016)."""

    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = residual_shortcut(in_channels, channels, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(self.shortcut(x) + y)


class Bottleneck(nn.Module):
    """1 × 1 down, 3 × 3, 1 × 1 up to four times the channels: ResNet-50 to 152.

    With `groups` and `width_per_group` the 3 × 3 convolution gets other channels, as
    in ResNeXt (Xie et al., 2017) and Wide ResNet (Zagoruyko and Komodakis, 2016).
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride=1, groups=1, width_per_group=64):
        super().__init__()
        narrow = channels * width_per_group // 64 * groups  # `channels` by default
        wide = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = nn.Conv2d(narrow, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.shortcut = residual_shortcut(in_channels, wide, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(self.shortcut(x) + y)


class ResNet(nn.Module):
    """Residual network (He et al., 2016): (N, in_channels, H, W) to (N, num_classes).

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks in each of the four stages.
        num_classes: logits at the end.
        in_channels: of the pictures.
        options: `groups` and `width_per_group`, handed on to every `Bottleneck`.
    """

    def __init__(self, block, depths, num_classes=1000, in_channels=3, **options):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        wide = block.expansion
        stage = functools.partial(residual_stage, block, **options)
        self.layer1 = stage(depths[0], 64, 64, stride=1)
        self.layer2 = stage(depths[1], 64 * wide, 128, stride=2)
        self.layer3 = stage(depths[2], 128 * wide, 256, stride=2)
        self.layer4 = stage(depths[3], 256 * wide, 512, stride=2)
        self.fc = nn.Linear(512 * wide, num_classes)
        start_like_he(self)

    def features(self, x):  # (N, 3, 224, 224)
        """Return the maps of the last stage."""
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, 112, 112)
        x = self.layer1(self.maxpool(x))  # (N, 64 or 256, 56, 56)
        return self.layer4(self.layer3(self.layer2(x)))  # (N, 512 or 2048, 7, 7)

    def forward(self, x):
        return self.fc(self.features(x).mean(dim=(2, 3)))


def residual_stage(block, depth, in_channels, channels, stride, **options):
    """Return `depth` blocks; the first takes the stride and the new channels."""
    blocks = [block(in_channels, channels, stride, **options)]
    for _ in range(depth - 1):
        blocks.append(block(channels * block.expansion, channels, **options))
    return nn.Sequential(*blocks)


RESNETS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


def resnet(name, num_classes=1000, in_channels=3):
    """Return the `ResNet` of a name in `RESNETS`, such as "resnet50"."""
    block, depths = RESNETS[name]
    return ResNet(block, depths, num_classes, in_channels)


# --- taught in chapters/14_densenet.ipynb, “DenseNet” ---------------------------------


class DenseLayer(nn.Module):
    """Read all maps so far and return `growth` new ones (Huang et al., 2017).

    Args:
        in_channels: of all the maps that it reads together.
        growth: channels that it returns, the growth rate.
        squeeze: the 3 × 3 convolution reads `squeeze * growth` channels.
    """

    def __init__(self, in_channels, growth, squeeze=4):
        super().__init__()
        narrow = squeeze * growth
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, narrow, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, growth, 3, padding=1, bias=False)

    def reduce(self, *maps):
        x = torch.cat(maps, dim=1)  # (N, in_channels, H, W)
        return self.conv1(F.relu(self.bn1(x)))  # (N, squeeze * growth, H, W)

    def forward(self, *maps):
        x = self.reduce(*maps)
        return self.conv2(F.relu(self.bn2(x)))  # (N, growth, H, W)


class DenseBlock(nn.ModuleList):
    """`depth` layers, each reading the input and all maps before it.

    (N, in_channels, H, W) gives (N, in_channels + depth * growth, H, W).
    """

    def __init__(self, depth, in_channels, growth, layer=DenseLayer):
        layers = [layer(in_channels + i * growth, growth) for i in range(depth)]
        super().__init__(layers)

    def forward(self, x):
        maps = [x]
        for layer in self:
            maps.append(layer(*maps))
        return torch.cat(maps, dim=1)


class Transition(nn.Sequential):
    """Between dense blocks: (N, in_channels, H, W) to (N, out_channels, H/2, W/2)."""

    def __init__(self, in_channels, out_channels):
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.AvgPool2d(2),
        )


class DenseNet(nn.Module):
    """DenseNet-BC (Huang et al., 2017): (N, 3, H, W) to (N, num_classes).

    Args:
        growth: channels that each dense layer adds.
        depths: layers in each dense block.
        channels: that the stem gives.
        num_classes: logits at the end.
        stem: a module in place of `densenet_stem(3, channels)`.
        layer: the class of the dense layers.
    """

    def __init__(
        self, growth, depths, channels=64, num_classes=1000, stem=None, layer=DenseLayer
    ):
        super().__init__()
        stem = densenet_stem(3, channels) if stem is None else stem
        self.features = dense_features(stem, channels, growth, depths, layer)
        self.fc = nn.Linear(self.features.bn.num_features, num_classes)
        start_densenet(self)

    def forward(self, x):
        x = F.relu(self.features(x))  # (N, channels, H/32, W/32) with the usual stem
        return self.fc(x.mean(dim=(2, 3)))


def dense_features(stem, channels, growth, depths, layer=DenseLayer):
    """Return stem, dense blocks with transitions between them, and a normalisation."""
    features = nn.Sequential()
    features.add_module("stem", stem)
    for i, depth in enumerate(depths, start=1):
        if i > 1:
            transition = Transition(channels, channels // 2)
            features.add_module(f"transition{i - 1}", transition)
            channels //= 2
        block = DenseBlock(depth, channels, growth, layer)
        features.add_module(f"block{i}", block)
        channels += depth * growth
    features.add_module("bn", nn.BatchNorm2d(channels))
    return features


def densenet_stem(in_channels, channels):
    """Return DenseNet's stem: (N, in_channels, H, W) to (N, channels, H/4, W/4)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def start_densenet(model):
    """He initialisation over the inputs, as torchvision has it for DenseNets."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


DENSENETS = {  # growth rate, layers in each block, channels of the stem
    "densenet121": (32, (6, 12, 24, 16), 64),
    "densenet161": (48, (6, 12, 36, 24), 96),
    "densenet169": (32, (6, 12, 32, 32), 64),
    "densenet201": (32, (6, 12, 48, 32), 64),
}


def densenet(name, num_classes=1000, layer=DenseLayer):
    """Return the `DenseNet` of a name in `DENSENETS`, such as "densenet121"."""
    growth, depths, channels = DENSENETS[name]
    return DenseNet(growth, depths, channels, num_classes, layer=layer)


# --- taught in chapters/15_grouped_wide.ipynb, “Grouped and wide” ---------------------


WIDER_RESNETS = {  # blocks in each stage, arguments of `Bottleneck`
    "resnext50_32x4d": ((3, 4, 6, 3), {"groups": 32, "width_per_group": 4}),
    "resnext101_32x8d": ((3, 4, 23, 3), {"groups": 32, "width_per_group": 8}),
    "resnext101_64x4d": ((3, 4, 23, 3), {"groups": 64, "width_per_group": 4}),
    "wide_resnet50_2": ((3, 4, 6, 3), {"width_per_group": 128}),
    "wide_resnet101_2": ((3, 4, 23, 3), {"width_per_group": 128}),
}


def wider_resnet(name, num_classes=1000, in_channels=3):
    """Return the ResNeXt or the Wide ResNet of a name in `WIDER_RESNETS`.

    They are `ResNet` with other arguments (Xie et al., 2017; Zagoruyko and Komodakis,
    2016).
    """
    depths, options = WIDER_RESNETS[name]
    return ResNet(Bottleneck, depths, num_classes, in_channels, **options)


def channel_shuffle(x, groups):
    """Deal the channels out, one of each group in turn (Zhang et al., 2018).

    Args:
        x: (N, C, H, W), the channels of a group beside each other.
        groups: how many groups there are; has to divide C.
    """
    x = x.unflatten(1, (groups, -1))  # (N, groups, C / groups, H, W)
    return x.transpose(1, 2).flatten(1, 2)


class Fire(nn.Module):
    """Squeeze with 1 × 1, expand with 1 × 1 and 3 × 3 (Iandola et al., 2016).

    (N, in_channels, H, W) to (N, 2 * expanded, H, W).
    """

    def __init__(self, in_channels, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))


SQUEEZENETS = {  # channels and kernel of the stem; (squeezed, expanded) of each Fire
    "squeezenet1_0": (
        (96, 7),
        [(16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192)]
        + [(64, 256), "pool", (64, 256)],
    ),
    "squeezenet1_1": (
        (64, 3),
        [(16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192)]
        + [(48, 192), (64, 256), (64, 256)],
    ),
}


def squeezenet_features(stem, steps, in_channels=3):
    """Return the convolutions of a SqueezeNet; arguments as in `SQUEEZENETS`."""
    channels, kernel = stem
    layers = [nn.Conv2d(in_channels, channels, kernel, stride=2), nn.ReLU()]
    for step in ["pool", *steps]:
        if step == "pool":  # ceil_mode: a last, incomplete window counts
            layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        else:
            squeezed, expanded = step
            layers.append(Fire(channels, squeezed, expanded))
            channels = 2 * expanded
    return nn.Sequential(*layers)


class SqueezeNet(nn.Module):
    """SqueezeNet (Iandola et al., 2016): (N, in_channels, H, W) to (N, num_classes).

    Args: the name of a version in `SQUEEZENETS`, logits, channels of the pictures.
    """

    def __init__(self, name="squeezenet1_1", num_classes=1000, in_channels=3):
        super().__init__()
        self.features = squeezenet_features(*SQUEEZENETS[name], in_channels)
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(0.5), last, nn.ReLU())
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(last.weight, std=0.01)

    def forward(self, x):
        return self.classifier(self.features(x)).mean(dim=(2, 3))


def shuffle_conv(in_channels, out_channels, kernel=1, stride=1, groups=1):
    """Return a convolution and its batch normalisation, as a list."""
    shape = in_channels, out_channels, kernel, stride, kernel // 2
    conv = nn.Conv2d(*shape, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


class ShuffleUnit(nn.Module):
    """Work on half of the channels, keep the others, shuffle (Ma et al., 2018).

    (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride). With stride 1
    the two numbers of channels are equal; with stride 2 both branches see all channels.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride, half = stride, out_channels // 2
        seen = in_channels if stride == 2 else half
        kept = []  # with stride 1: nothing is done
        if stride == 2:
            kept = shuffle_conv(seen, seen, 3, stride, groups=seen)
            kept += [*shuffle_conv(seen, half), nn.ReLU()]
        worked = [*shuffle_conv(seen, half), nn.ReLU()]
        worked += shuffle_conv(half, half, 3, stride, groups=half)
        worked += [*shuffle_conv(half, half), nn.ReLU()]
        self.branch1, self.branch2 = nn.Sequential(*kept), nn.Sequential(*worked)

    def forward(self, x):
        kept, worked = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        x = torch.cat([self.branch1(kept), self.branch2(worked)], dim=1)
        return channel_shuffle(x, 2)


SHUFFLENETS = {  # channels: stem, three stages, last 1 × 1 convolution
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}


def shuffle_stage(depth, in_channels, out_channels):
    """Return `depth` units; the first halves the sides and sets the channels."""
    units = [ShuffleUnit(in_channels, out_channels, 2)]
    units += [ShuffleUnit(out_channels, out_channels, 1) for _ in range(depth - 1)]
    return nn.Sequential(*units)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 (Ma et al., 2018): (N, in_channels, H, W) to (N, num_classes).

    Args: the name of a size in `SHUFFLENETS`, logits, channels of the pictures.
    """

    def __init__(self, name="shufflenet_v2_x1_0", num_classes=1000, in_channels=3):
        super().__init__()
        stem, a, b, c, last = SHUFFLENETS[name]
        first = shuffle_conv(in_channels, stem, 3, stride=2)
        self.conv1 = nn.Sequential(*first, nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = shuffle_stage(4, stem, a)
        self.stage3 = shuffle_stage(8, a, b)
        self.stage4 = shuffle_stage(4, b, c)
        self.conv5 = nn.Sequential(*shuffle_conv(c, last), nn.ReLU())
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x):  # (N, 3, 224, 224)
        x = self.stage2(self.maxpool(self.conv1(x)))  # (N, a, 28, 28)
        x = self.conv5(self.stage4(self.stage3(x)))  # (N, last, 7, 7)
        return self.fc(x.mean(dim=(2, 3)))


# --- taught in chapters/16_small_scaled.ipynb, “Small and scaled” ---------------------


def mobile_conv(
    in_channels,
    out_channels,
    kernel_size=1,
    stride=1,
    groups=1,
    activation=nn.ReLU,
    norm=nn.BatchNorm2d,
):
    """Return convolution, normalisation and activation; None is no activation."""
    padding = kernel_size // 2  # with stride 1 the size stays
    options = {"groups": groups, "bias": False}
    layers = [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, **options),
        norm(out_channels),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def depthwise_separable(in_channels, out_channels, stride=1):
    """Return a 3 × 3 kernel for each channel, then a 1 × 1 (Howard et al., 2017)."""
    return nn.Sequential(
        mobile_conv(in_channels, in_channels, 3, stride, groups=in_channels),
        mobile_conv(in_channels, out_channels),
    )


MOBILENET_V1 = (  # channels and stride of the first convolution and of each block
    *((32, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)


class MobileNetV1(nn.Module):
    """MobileNet (Howard et al., 2017): (N, in_channels, H, W) to (N, num_classes).

    `width` is a factor for all channels; `block` makes a block from channels in and
    out and stride; `rows` are as in MOBILENET_V1.
    """

    def __init__(
        self,
        width=1.0,
        num_classes=1000,
        in_channels=3,
        block=depthwise_separable,
        rows=MOBILENET_V1,
    ):
        super().__init__()
        before, *channels = (max(8, int(width * full)) for full, _ in rows)
        layers = [mobile_conv(in_channels, before, 3, rows[0][1])]
        for after, (_, stride) in zip(channels, rows[1:], strict=True):
            layers.append(block(before, after, stride))
            before = after
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(before, num_classes)

    def forward(self, x):  # (N, 3, 224, 224)
        x = self.features(x)  # (N, 1024, 7, 7)
        return self.fc(x.mean(dim=(2, 3)))


class SqueezeExcitation(nn.Module):
    """Weigh each channel by the means of all (Hu et al., 2018): shape unchanged."""

    def __init__(self, channels, squeezed, activation=nn.SiLU):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation()
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):  # (N, C, H, W)
        means = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        weights = self.excite(self.activation(self.squeeze(means)))
        return x * torch.sigmoid(weights)


class StochasticDepth(nn.Module):
    """Drop a picture's branch with probability p in training (Huang et al., 2016)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):  # (N, C, H, W)
        if not self.training or self.p == 0:
            return x
        keep = x.new_empty(len(x), 1, 1, 1).bernoulli_(1 - self.p)
        return x * (keep / (1 - self.p))


def inverted_branch(sizes, expansion, squeeze=False, **style):
    """Return the branch of an `InvertedResidual`, with the same arguments."""
    in_channels, out_channels, kernel_size, stride = sizes
    middle = in_channels * expansion
    layers = [mobile_conv(in_channels, middle, **style)] if expansion > 1 else []
    layers.append(mobile_conv(middle, middle, kernel_size, stride, middle, **style))
    if squeeze:
        layers.append(SqueezeExcitation(middle, in_channels // 4))
    layers.append(mobile_conv(middle, out_channels, **{**style, "activation": None}))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """1 × 1 to more channels, depthwise, linear 1 × 1 to few (Sandler et al., 2018).

    `sizes` are channels in and out, kernel size and stride. The input is added where
    the shapes fit. With `expansion` 1 the first 1 × 1 is left out; `squeeze` weighs the
    channels of the middle; `drop` is the probability of stochastic depth; `style` holds
    `activation` and `norm`, as in `mobile_conv`.
    """

    def __init__(self, sizes, expansion=6, squeeze=False, drop=0.0, **style):
        super().__init__()
        in_channels, out_channels, _, stride = sizes
        self.branch = inverted_branch(sizes, expansion, squeeze, **style)
        self.drop = StochasticDepth(drop)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x):
        y = self.branch(x)
        return x + self.drop(y) if self.shortcut else y


def inverted_features(rows, first, last, in_channels, drop=0.0, squeeze=False, **style):
    """Return the convolutions; arguments as in `InvertedResidualNet`."""
    layers = [mobile_conv(in_channels, first, 3, 2, **style)]
    n_blocks = sum(blocks for _, _, blocks, _, _ in rows)
    channels = first
    for expansion, out_channels, blocks, stride, kernel_size in rows:
        for i in range(blocks):
            rate = drop * (len(layers) - 1) / n_blocks  # the first is no block
            sizes = channels, out_channels, kernel_size, stride if i == 0 else 1
            layers.append(InvertedResidual(sizes, expansion, squeeze, rate, **style))
            channels = out_channels
    layers.append(mobile_conv(channels, last, **style))
    return nn.Sequential(*layers)


class InvertedResidualNet(nn.Module):
    """Inverted residuals from a table: (N, in_channels, H, W) to (N, num_classes).

    A row is expansion, channels, blocks, stride of the first, kernel size; `first` and
    `last` are the channels before and after all rows. Among the `options`, stochastic
    depth rises from 0 at the first block towards `drop`; the rest is as in
    `InvertedResidual`.
    """

    def __init__(
        self, rows, first, last, num_classes=1000, in_channels=3, dropout=0.2, **options
    ):
        super().__init__()
        self.features = inverted_features(rows, first, last, in_channels, **options)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x):
        x = self.features(x).mean(dim=(2, 3))  # (N, last)
        return self.fc(self.dropout(x))


def round_to_8(channels):
    """Return the nearest multiple of 8 that is at least 90% of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def scale_rows(rows, width, depth=1.0):
    """Return the rows with more channels, and more blocks in each, rounded up."""
    scaled = []
    for expansion, channels, blocks, *rest in rows:
        more = math.ceil(blocks * depth)
        scaled.append((expansion, round_to_8(channels * width), more, *rest))
    return scaled


MOBILENET_V2 = (  # expansion, channels, blocks, stride, kernel size
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)


class MobileNetV2(InvertedResidualNet):
    """MobileNetV2 (Sandler et al., 2018) with `width` times the channels."""

    def __init__(self, width=1.0, num_classes=1000, in_channels=3):
        first, last = round_to_8(32 * width), round_to_8(1280 * max(1.0, width))
        rows, style = scale_rows(MOBILENET_V2, width), {"activation": nn.ReLU6}
        super().__init__(rows, first, last, num_classes, in_channels, **style)


MNASNET = (  # expansion, channels, blocks, stride, kernel size
    (1, 16, 1, 1, 3),
    (3, 24, 3, 2, 3),
    (3, 40, 3, 2, 5),
    (6, 80, 3, 2, 5),
    (6, 96, 2, 1, 3),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class MNASNet(InvertedResidualNet):
    """MnasNet-B1 (Tan et al., 2019) with `width` times the channels."""

    def __init__(self, width=1.0, num_classes=1000, in_channels=3):
        norm = functools.partial(nn.BatchNorm2d, momentum=1 - 0.9997)
        rows, first = scale_rows(MNASNET, width), round_to_8(32 * width)
        super().__init__(rows, first, 1280, num_classes, in_channels, norm=norm)


EFFICIENTNET = (  # expansion, channels, blocks, stride, kernel size: B0
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
EFFICIENTNETS = {  # factor for the channels, factor for the blocks, dropout
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}


class EfficientNet(InvertedResidualNet):
    """EfficientNet (Tan and Le, 2019) by name, "b0" to "b7", as in torchvision."""

    def __init__(self, name="b0", num_classes=1000, in_channels=3):
        width, depth, dropout = EFFICIENTNETS[name]
        rows, first = scale_rows(EFFICIENTNET, width, depth), round_to_8(32 * width)
        style = {"activation": nn.SiLU}
        if name in ("b5", "b6", "b7"):  # torchvision took these from another source
            style["norm"] = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        ends = first, 4 * rows[-1][1], num_classes, in_channels
        super().__init__(rows, *ends, dropout, drop=0.2, squeeze=True, **style)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel: (N, C, H, W) unchanged."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7 × 7, 1 × 1 to four times the channels and back (Liu et al., 2022)."""

    def __init__(self, channels, drop=0.0):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            ChannelNorm(channels, eps=1e-6),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))
        self.drop = StochasticDepth(drop)

    def forward(self, x):
        return x + self.drop(self.layer_scale * self.branch(x))


def convnext_features(in_channels, depths, widths, drop):
    """Return stem and stages; arguments as in `ConvNeXt`."""
    before, done = widths[0], 0
    layers = [nn.Conv2d(in_channels, before, 4, 4), ChannelNorm(before, eps=1e-6)]
    for depth, channels in zip(depths, widths, strict=True):
        if done > 0:  # between stages
            layers.append(ChannelNorm(before, eps=1e-6))
            layers.append(nn.Conv2d(before, channels, 2, 2))
        for _ in range(depth):
            rate = drop * done / (sum(depths) - 1)
            layers.append(ConvNeXtBlock(channels, rate))
            done += 1
        before = channels
    return nn.Sequential(*layers)


CONVNEXT_TINY = ((3, 3, 9, 3), (96, 192, 384, 768))  # blocks, channels of each stage


class ConvNeXt(nn.Module):
    """ConvNeXt (Liu et al., 2022): (N, in_channels, H, W) to (N, num_classes).

    `stages` are as in CONVNEXT_TINY. Stochastic depth rises from 0 at the first block
    to `drop`.
    """

    def __init__(self, stages=CONVNEXT_TINY, num_classes=1000, in_channels=3, drop=0.1):
        super().__init__()
        depths, widths = stages
        self.features = convnext_features(in_channels, depths, widths, drop)
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x):
        x = self.features(x).mean(dim=(2, 3))  # (N, 768)
        return self.fc(self.norm(x))
