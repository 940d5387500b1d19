"""Figures that move: live in a notebook with a kernel, and on a page without one.

First used in "Tensors"; taught in CONTRIBUTING.md.
"""

import hashlib
import html
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers.plotting import inline_svg, to_svg


@dataclass(frozen=True)
class Control:
    """One dial of a player.

    Attributes:
        values: what the dial can be set to, in order; the page has a frame for each.
        label: what stands beside the dial.
        text: how a value is written, a format such as ``"{:.3f}"``.
        start: the value shown first; None is the first.
        free: in a live notebook any number from the first to the last value can be
            set, or typed. Only for drawings that compute what they show.
        log: a free dial moves in equal ratios, not in equal steps.
    """

    values: Sequence
    label: str
    text: str = "{}"
    start: object = None
    free: bool = False
    log: bool = False

    def __post_init__(self):
        if not len(self.values):
            raise ValueError(f"the control {self.label!r} has no values")
        if self.start is not None and self.start not in self.values:
            raise ValueError(f"the control {self.label!r} cannot start at {self.start}")

    @property
    def first(self) -> int:
        """Index of the value shown first."""
        return 0 if self.start is None else list(self.values).index(self.start)

    def widget(self) -> widgets.Widget:
        """Return the dial for a live notebook."""
        start = self.values[self.first]
        if self.free and self.log:
            low, high = math.log10(self.values[0]), math.log10(self.values[-1])
            return widgets.FloatLogSlider(start, min=low, max=high, step=0.05)
        if self.free:
            low, high = self.values[0], self.values[-1]
            return widgets.FloatSlider(
                start, min=low, max=high, step=(high - low) / 100
            )
        options = [(self.text.format(value), value) for value in self.values]
        return widgets.SelectionSlider(options=options, value=start)


class Player:
    """A figure with dials. Show it as the last line of a cell.

    Where a kernel runs it is an ipywidget that draws anew at every turn of a dial. On
    the page, and in a notebook that was opened without running, it is an HTML player
    over frames drawn beforehand: slider and play button, keyboard and touch, a text
    alternative for every frame, no server.

    Args:
        draw: takes the value of each control by name and returns a new figure.
        alt: describes a frame in words: a format with the names of the controls, or a
            function of them.
        controls: for each parameter of ``draw`` a `Control`. The play button turns the
            last of them.

    Raises:
        ValueError: no control, or more than 60 frames, too many for a page.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        alt: str | Callable[..., str],
        **controls: Control,
    ):
        if not controls:
            raise ValueError("a player needs at least one control")
        self.draw, self.alt, self.controls = draw, alt, controls
        values = [control.values for control in controls.values()]
        self.settings = [
            dict(zip(controls, setting, strict=True))
            for setting in itertools.product(*values)
        ]
        if len(self.settings) > 60:
            raise ValueError(f"{len(self.settings)} frames are too many: at most 60")

    def frame(self, **setting) -> str:
        """Return one frame as SVG text."""
        return to_svg(self.draw(**setting))

    def _describe(self, setting: dict) -> str:
        return self.alt(**setting) if callable(self.alt) else self.alt.format(**setting)

    def html(self) -> str:
        """Return the self-contained player for a page."""
        frames = [self.frame(**setting) for setting in self.settings]
        digest = hashlib.sha256("".join(frames).encode()).hexdigest()
        name = f"player-{digest[:8]}"
        first = 0
        for control in self.controls.values():
            first = first * len(control.values) + control.first
        return _PAGE.format(
            name=name,
            style=_STYLE,
            script=_SCRIPT % json.dumps(name),
            frames="".join(
                _FRAME.format(
                    alt=html.escape(self._describe(setting)),
                    hidden="" if at == first else " hidden",
                    svg=inline_svg(svg, f"{name}-{at}-"),
                )
                for at, (setting, svg) in enumerate(
                    zip(self.settings, frames, strict=True)
                )
            ),
            dials="".join(
                _dial(f"{name}-{key}", control)
                for key, control in self.controls.items()
            ),
        )

    def live(self) -> widgets.Widget:
        """Return the ipywidget for a notebook with a kernel."""
        dials = {key: control.widget() for key, control in self.controls.items()}
        picture = widgets.HTML()

        def redraw(_=None):
            setting = {key: dial.value for key, dial in dials.items()}
            picture.value = self.frame(**setting)

        for key, dial in dials.items():
            dial.description = self.controls[key].label
            dial.style.description_width = "initial"
            dial.continuous_update = False
            dial.observe(redraw, "value")
        redraw()
        return widgets.VBox([*dials.values(), picture])

    def _repr_mimebundle_(self, include=None, exclude=None):
        self._live = self.live()  # kept, or the widget could be collected
        view = {"version_major": 2, "version_minor": 0, "model_id": self._live.model_id}
        return {
            "application/vnd.jupyter.widget-view+json": view,
            "text/html": self.html(),
            "text/plain": "A figure that moves",
        }


def _dial(name: str, control: Control) -> str:
    texts = [control.text.format(value) for value in control.values]
    return _DIAL.format(
        name=name,
        label=html.escape(control.label),
        last=len(texts) - 1,
        first=control.first,
        text=html.escape(texts[control.first]),
        texts=html.escape(json.dumps(texts)),
    )


_PAGE = """<div class="player" id="{name}"><style>{style}</style>
<div class="player-frames">{frames}</div>
<div class="player-dials" hidden>{dials}<button type="button">▶ Play</button></div>
<script>{script}</script></div>"""

_FRAME = '<div class="player-frame" role="img" aria-label="{alt}"{hidden}>{svg}</div>\n'

_DIAL = (
    '<div class="player-dial"><label for="{name}">{label}</label>'
    '<input type="range" id="{name}" min="0" max="{last}" step="1" value="{first}" '
    'aria-valuetext="{text}" data-texts="{texts}">'
    '<output for="{name}">{text}</output></div>'
)

# What every figure with dials shares; `helpers.points` adds its own to it.
BASE_STYLE = """
.player{max-width:36rem;margin:auto}
.player-frames{background:#fff;color:#1f2328}
.player-frame[hidden],.player-dials[hidden]{display:none}
.player-frame svg{display:block;width:100%;height:auto}
.player-dials{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center}
.player-dial{display:flex;flex:1 1 15rem;gap:.6rem;align-items:center}
"""

_STYLE = (
    BASE_STYLE
    + """\
.player-dial input{flex:1;min-width:6rem;height:1.8rem}
.player-dial output{min-width:3.5em;font-variant-numeric:tabular-nums}
.player button{min-width:6em;padding:.3rem .7rem;font:inherit;cursor:pointer}
@media print{.player-dials{display:none}}
"""
)

# The dials appear only once this has run: without scripts the first frame stays, whole.
_SCRIPT = """
(() => {
  const root = document.getElementById(%s);
  if (!root) return;
  const frames = [...root.querySelectorAll(".player-frame")];
  const dials = [...root.querySelectorAll("input")];
  const button = root.querySelector("button");
  const last = dials[dials.length - 1];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;
  const show = () => {
    let at = 0;
    for (const dial of dials) {
      const text = JSON.parse(dial.dataset.texts)[dial.value];
      at = at * (Number(dial.max) + 1) + Number(dial.value);
      dial.setAttribute("aria-valuetext", text);
      dial.nextElementSibling.textContent = text;
    }
    frames.forEach((frame, i) => { frame.hidden = i !== at; });
  };
  const name = () => {
    button.textContent = timer ? "❚❚ Pause" : still.matches ? "▶ Next" : "▶ Play";
  };
  const stop = () => { clearInterval(timer); timer = null; name(); };
  const step = () => {
    last.value = Number(last.value) + 1;
    show();
    if (last.value === last.max) stop();
  };
  for (const dial of dials) {
    dial.addEventListener("input", () => { stop(); show(); });
  }
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (last.value === last.max) { last.value = -1; step(); } else step();
    if (!still.matches && last.value !== last.max) timer = setInterval(step, 700);
    name();
  });
  still.addEventListener("change", stop);
  root.querySelector(".player-dials").hidden = false;
  name();
  show();
})();
"""
