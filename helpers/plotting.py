"""One visual language for the whole book: sizes, colours, and figures as vectors.

Every figure is drawn on white with the colours below, so that it can be read in any
notebook; the site swaps each of these colours for its partner in the dark theme. A
colour that is not in `INK` or `COLORS` stays as it is. First used in
"Tensors"; taught in CONTRIBUTING.md.
"""

import re
from io import StringIO

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from cycler import cycler
from IPython import get_ipython
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

WIDTH = 4.8  # inches, the one width: on a phone, 11-point letters come out at 10

# Colour on white, and its partner on the dark theme.
INK = {
    "paper": ("#ffffff", "transparent"),
    "text": ("#1f2328", "#e6e8eb"),
    "muted": ("#59636e", "#a7b0ba"),
    "grid": ("#dde1e6", "#3b424b"),
}
# Okabe and Ito's palette, safe for the colour-blind, with meanings fixed for the book.
COLORS = {
    "train": ("#0072b2", "#56b4e9"),
    "validation": ("#d55e00", "#ff8c42"),
    "test": ("#009e73", "#35cfa0"),
    "accent": ("#b5528b", "#e39ac4"),
    "second": ("#8c6d00", "#e3c22f"),
    "quiet": ("#7d8590", "#8f98a3"),
}


def color(meaning: str) -> str:
    """Return the colour that a meaning has on white, for instance ``color("train")``.

    Raises:
        KeyError: no such meaning in `INK` or `COLORS`.
    """
    return (INK | COLORS)[meaning][0]


def use_book_style() -> None:
    """Set Matplotlib's defaults to the book's, and show figures as vectors."""
    text, grid = color("text"), color("grid")
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.0),
            "figure.constrained_layout.use": True,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
            "font.size": 11,
            "axes.titlesize": 11,
            "legend.fontsize": 10,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "axes.titlelocation": "left",
            "axes.prop_cycle": cycler(color=[light for light, _ in COLORS.values()]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": color("muted"),
            "axes.labelcolor": text,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": grid,
            "grid.linewidth": 0.7,
            "text.color": text,
            "xtick.color": text,
            "ytick.color": text,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "image.interpolation": "none",
            "svg.fonttype": "none",  # letters stay letters: small, and found by search
            "svg.hashsalt": "every-cell-runs",  # the same drawing, the same bytes
        }
    )
    if get_ipython() is not None:
        # All of the figure, so that every one has the width it was given.
        set_matplotlib_formats("svg", bbox_inches=None, metadata={"Date": None})


def show_images(images: Tensor, titles=None, columns: int = 8, cmap="gray_r") -> Figure:
    """Draw images in rows, each under its title; return the figure.

    Args:
        images: (N, C, H, W), uint8 from 0 to 255 or float from 0 to 1; C is 1 or 3.
        titles: N strings, or None.
        columns: images in a row.
        cmap: the colour map of images with one channel.
    """
    rows = -(-len(images) // columns)
    height = WIDTH / columns * (1 if titles is None else 1.28)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * height), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, image, title in zip(
        axes.flat, images.cpu(), titles or [""] * len(images), strict=False
    ):
        pixels = image.squeeze(0) if len(image) == 1 else image.permute(1, 2, 0)
        white = 255 if image.dtype == torch.uint8 else 1
        axis.imshow(pixels.numpy(), cmap=cmap, vmin=0, vmax=white)
        axis.set_title(title, fontsize=9, loc="center", pad=3)
    return figure


def plot_history(history) -> Figure:
    """Draw the loss and the accuracy of a `History`, one under the other."""
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True)
    epochs = history["epoch"]
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for part, prefix in [("train", "train"), ("validation", "val")]:
            if f"{prefix}_{quantity}" in history.rows[0]:
                values = history[f"{prefix}_{quantity}"]
                axis.plot(epochs, values, color=color(part), label=part)
        axis.set_ylabel(quantity)
    axes[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    axes[1].set_xlabel("epoch")
    return figure


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG text, the same bytes for the same drawing; close it."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return buffer.getvalue()


def inline_svg(svg: str, prefix: str) -> str:
    """Make Matplotlib's SVG fit to stand in a page: short, and with names of its own.

    Args:
        svg: a whole SVG file.
        prefix: put before every id, so that two figures of a page never clash.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    # Two decimals do for a coordinate; letters and pictures stay as they are.
    svg = re.sub(
        r'<[^>]*?>|"data:[^"]*"',
        lambda t: re.sub(r"\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}", t[0]),
        svg,
    )
    svg = re.sub(r">\s+<", "><", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
