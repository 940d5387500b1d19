"""Plot style, network diagrams, and the player as HTML and as a widget."""

import html
import json
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from helpers.diagrams import count_parameters, draw_network, trace
from helpers.player import Control, Player
from helpers.plotting import (
    COLORS,
    INK,
    color,
    inline_svg,
    show_images,
    to_svg,
    use_book_style,
)
from helpers.points import Points


@pytest.fixture(autouse=True)
def book_style():
    use_book_style()
    yield
    plt.close("all")


def draw(lr=0.1, epoch=1):
    figure, axis = plt.subplots()
    axis.plot([0, 1], [lr, epoch], color=color("train"))
    return figure


# --- style --------------------------------------------------------------------------


def luminance(code):
    values = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted([luminance(a), luminance(b)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("ground", "theme"), [("#ffffff", 0), ("#121212", 1)])
def test_every_colour_can_be_seen_in_both_themes(ground, theme):
    """WCAG 2.2: 4.5 for text, 3 for lines and bars."""
    assert contrast(INK["text"][theme], ground) >= 4.5
    assert contrast(INK["muted"][theme], ground) >= 4.5
    for meaning, pair in COLORS.items():
        assert contrast(pair[theme], ground) >= 3, meaning


def test_colours_differ_and_an_unknown_meaning_is_an_error():
    light = [pair[0] for pair in (INK | COLORS).values()]
    assert len(set(light)) == len(light)
    with pytest.raises(KeyError):
        color("tomato")


def test_the_same_drawing_gives_the_same_bytes():
    assert to_svg(draw()) == to_svg(draw())
    assert plt.get_fignums() == []


def test_inline_svg_is_whole_shorter_and_has_names_of_its_own():
    figure = show_images(torch.rand(2, 1, 8, 8), titles=["a", "b"], columns=2)
    svg = to_svg(figure)
    short = inline_svg(svg, "one-")
    assert len(short) < len(svg)
    tree = ElementTree.fromstring(short)
    names = {element.get("id") for element in tree.iter() if element.get("id")}
    assert names
    assert all(name.startswith("one-") for name in names)
    used = set(re.findall(r"url\(#([^)]+)\)", short))
    used |= set(re.findall(r'href="#([^"]+)"', short))
    assert used <= names
    data = re.findall(r'"(data:image/png[^"]+)"', svg)
    assert data == re.findall(r'"(data:image/png[^"]+)"', short)
    assert "width" not in tree.attrib


def test_inline_svg_leaves_the_letters_alone():
    figure, axis = plt.subplots()
    axis.set_title("learning rate 0.00031, loss 0.20876")
    assert "learning rate 0.00031, loss 0.20876" in inline_svg(to_svg(figure), "x-")


def test_show_images_draws_all_of_them_in_grey_and_colour():
    figure = show_images(torch.rand(5, 3, 4, 4), columns=3)
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert [x.shape for x in shown] == [(4, 4, 3)] * 5
    image = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4)
    assert show_images(image).axes[0].images[0].get_array()[1, 2] == 6


# --- diagrams -----------------------------------------------------------------------


def test_trace_reports_the_shapes_and_parameters_of_torchvisions_resnet18():
    model = torchvision.models.resnet18()
    layers = {x.name: x for x in trace(model, torch.randn(1, 3, 64, 64), depth=1)}
    assert layers["conv1"].shape == (64, 32, 32)
    assert layers["layer4"].shape == (512, 2, 2)
    assert layers["fc"].parameters == 513_000
    assert sum(layer.parameters for layer in layers.values()) == 11_689_512
    leaves = trace(model, torch.randn(1, 3, 64, 64))
    assert sum(layer.kind == "Conv2d" for layer in leaves) == 20


def test_trace_leaves_the_model_as_it_was():
    model = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 2)
    )
    model[2].eval()  # frozen
    before = {k: v.clone() for k, v in model.state_dict().items()}
    trace(model, torch.randn(8, 1, 2, 2))
    assert model.training
    assert model[1].training
    assert not model[2].training
    assert not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_trace_removes_its_hooks_when_the_model_fails():
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(RuntimeError):
        trace(model, torch.randn(1, 5))
    assert not model[0]._forward_hooks


def test_draw_network_writes_every_shape():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    texts = [
        t.get_text() for t in draw_network(model, torch.randn(2, 3, 2, 2)).axes[0].texts
    ]
    assert {"3 × 2 × 2", "12", "5", "65"} <= set(texts)
    assert count_parameters(model) == 65


# --- player -------------------------------------------------------------------------


def player():
    return Player(
        draw,
        alt="Learning rate {lr:g}, epoch {epoch}.",
        lr=Control([0.1, 0.2, 0.5], "learning <rate>", "{:g}", start=0.2),
        epoch=Control([1, 2], "epoch"),
    )


def test_page_has_a_frame_for_each_setting_and_shows_one():
    page = player().html()
    frames = re.findall(r'<div class="player-frame"[^>]*>', page)
    assert len(frames) == 6
    assert [" hidden" in frame for frame in frames].count(False) == 1
    assert " hidden" not in frames[2]  # 0.2 and 1, the third of six
    alts = [html.unescape(re.search('aria-label="([^"]+)"', x)[1]) for x in frames]
    assert alts[0] == "Learning rate 0.1, epoch 1."
    assert alts[-1] == "Learning rate 0.5, epoch 2."


def test_page_is_self_contained_and_labelled():
    page = player().html()
    without_names = re.sub(r'xmlns(:\w+)?="[^"]+"', "", page)
    assert not re.search(r"https?:|src=|@import", without_names)
    for slider in re.findall(r"<input [^>]+>", page):
        name = re.search('id="([^"]+)"', slider)[1]
        assert f'<label for="{name}">' in page
        texts = json.loads(html.unescape(re.search('data-texts="([^"]+)"', slider)[1]))
        assert len(texts) == int(re.search('max="([^"]+)"', slider)[1]) + 1
    assert "learning &lt;rate&gt;" in page
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_page_is_the_same_for_the_same_drawing():
    assert player().html() == player().html()


def test_bundle_has_both_a_live_widget_and_a_page():
    bundle = player()._repr_mimebundle_()
    assert "model_id" in bundle["application/vnd.jupyter.widget-view+json"]
    assert bundle["text/html"] == player().html()


def test_live_widget_draws_anew_with_the_readers_own_value():
    asked = []

    def remember(lr):
        asked.append(lr)
        return draw(lr)

    values = [1e-4, 1e-3, 1e-2]
    control = Control(values, "lr", start=1e-3, free=True, log=True)
    widget = Player(remember, "{lr}", lr=control).live()
    dial, picture = widget.children
    assert dial.min <= -4
    assert dial.max >= -2
    assert asked == [pytest.approx(1e-3)]
    before = picture.value
    dial.value = 10**-2.5
    assert asked[-1] == pytest.approx(10**-2.5)
    assert picture.value != before


def test_live_widget_of_listed_values():
    widget = player().live()
    assert widget.children[0].value == 0.2
    assert [text for text, _ in widget.children[0].options] == ["0.1", "0.2", "0.5"]
    widget.children[1].value = 2
    assert "<svg" in widget.children[2].value


def test_player_refuses_what_no_page_can_show():
    with pytest.raises(ValueError, match="at least one control"):
        Player(draw, "x")
    with pytest.raises(ValueError, match="61 frames are too many"):
        Player(draw, "x", lr=Control(range(61), "lr"))
    with pytest.raises(ValueError, match="has no values"):
        Control([], "lr")
    with pytest.raises(ValueError, match="cannot start at 9"):
        Control([1, 2], "lr", start=9)


# --- points -------------------------------------------------------------------------

PLACES = {"a": [[1, 1], [2, 4]], "b": [[10, 1], [float("nan"), 4]]}
NOTES = [("first <1>", "1 & 2"), ("second", 'said "so"')]


def draw_view(view):
    figure, axis = plt.subplots()
    axis.scatter(*np.array(PLACES[view]).T, color=color("train"))
    return figure


def points(**changes):
    given = {"places": PLACES, "notes": NOTES, "alt": "Two dots across {view}."}
    return Points(draw_view, **(given | changes))


def test_points_have_a_frame_for_each_view_and_a_place_for_each_dot():
    page = points().html()
    assert page == points().html()
    frames = page.split('class="player-frame"')[1:]
    assert len(frames) == 2
    assert 'aria-label="Two dots across a."' in frames[0]
    assert " hidden>" in frames[1]
    for frame, missing in zip(frames, (0, 1), strict=True):
        spots = json.loads(html.unescape(re.search(r'data-spots="([^"]*)"', frame)[1]))
        assert spots.count(None) == missing
        width, height = map(
            float, re.search(r'viewBox="0 0 (\S+) (\S+)"', frame).groups()
        )
        drawn = re.findall(
            r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: #0072b2', frame
        )
        spots = [spot for spot in spots if spot]
        assert len(drawn) == len(spots)
        for (x, y), spot in zip(drawn, spots, strict=True):
            assert abs(float(x) - spot[0] * width / 1000) < 0.5
            assert abs(float(y) - spot[1] * height / 1000) < 0.5
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_points_say_what_they_are_and_escape_it():
    page = points().html()
    assert "first &lt;1&gt;" in page
    assert "<1>" not in page
    said = json.loads(html.unescape(re.search(r'data-notes="([^"]*)"', page)[1]))
    assert said == [note for _, note in NOTES]
    assert set(points()._repr_mimebundle_()) == {"text/html", "text/plain"}


def test_points_refuse_views_that_do_not_fit():
    with pytest.raises(ValueError, match="no view"):
        points(places={})
    with pytest.raises(ValueError, match="the view 'a' has"):
        points(places={"a": [[1, 2]]})
