"""The networks of the book, gathered from the chapters that teach them.

Written by ``.ci/gather.py`` out of the cells with the tag ``export``; a test keeps the
two equal. Edit the chapter, not this file.
"""

import copy
import functools

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
