"""Figures whose points can be read: point at one, tap it, or find it by its name.

First used in "Choosing a network"; taught in CONTRIBUTING.md.
"""

import hashlib
import html
import json
import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from helpers.player import BASE_STYLE
from helpers.plotting import inline_svg, to_svg


class Points:
    """A scatter plot in which every point says what it is, in one view or several.

    On the page, in JupyterLab and on Colab it is the same HTML: the mouse or a finger
    takes the nearest point, the keyboard goes through a list of names. The point gets a
    ring, and its note stands below. No server, no kernel; without scripts the first
    view stays, whole. Show it as the last line of a cell.

    Args:
        draw: takes the name of a view and returns a new figure, whose first axes hold
            the points.
        places: for each view the places of all points in data coordinates, (N, 2); NaN
            where a point is not in this view.
        notes: for each point, in the same order, its name and what is to be said of it.
        alt: describes a view in words: a format with ``{view}``, or a function of it.

    Raises:
        ValueError: no view, or a view with another number of places than notes.
    """

    def __init__(
        self,
        draw: Callable[[str], Figure],
        places: dict[str, Sequence],
        notes: Sequence[tuple[str, str]],
        alt: str | Callable[[str], str],
    ):
        if not places:
            raise ValueError("there is no view to draw")
        for view, spots in places.items():
            if np.shape(spots) != (len(notes), 2):
                raise ValueError(
                    f"{len(notes)} notes need places of shape ({len(notes)}, 2); "
                    f"the view {view!r} has {np.shape(spots)}"
                )
        self.draw, self.places, self.notes, self.alt = draw, places, notes, alt

    def html(self) -> str:
        """Return the self-contained figure for a page."""
        frames = {view: self._frame(view) for view in self.places}
        notes = html.escape(json.dumps([note for _, note in self.notes]))
        all_of_it = "".join(svg for svg, _ in frames.values()) + notes
        name = f"points-{hashlib.sha256(all_of_it.encode()).hexdigest()[:8]}"
        return _PAGE.format(
            name=name,
            style=_STYLE,
            script=_SCRIPT % json.dumps(name),
            frames="".join(
                _FRAME.format(
                    alt=html.escape(self._describe(view)),
                    hidden=" hidden" if at else "",
                    spots=json.dumps(spots).replace(" ", ""),
                    svg=inline_svg(svg, f"{name}-{at}-"),
                )
                for at, (view, (svg, spots)) in enumerate(frames.items())
            ),
            views=_options(self.places),
            views_hidden=" hidden" if len(self.places) == 1 else "",
            names=_options(point for point, _ in self.notes),
            notes=notes,
        )

    def _describe(self, view: str) -> str:
        return self.alt(view) if callable(self.alt) else self.alt.format(view=view)

    def _frame(self, view: str) -> tuple[str, list]:
        """Return the view as SVG, and its points in per mille of width and height."""
        figure = self.draw(view)
        svg = to_svg(figure)  # before the places are read: this arranges the axes
        pixels = figure.axes[0].transData.transform(np.asarray(self.places[view]))
        shares = 1000 * pixels / figure.bbox.size
        return svg, [
            None if math.isnan(x + y) else [round(x), round(1000 - y)]
            for x, y in shares.tolist()
        ]

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": "A figure to point at"}


def _options(texts) -> str:
    return "".join(
        f'<option value="{at}">{html.escape(text)}</option>'
        for at, text in enumerate(texts)
    )


# It has the class of a player, so that the site treats it as one: the theme's ground,
# no dials in print.
_PAGE = """<div class="player points" id="{name}"><style>{style}</style>
<div class="player-frames">{frames}<span class="points-ring" hidden></span></div>
<p class="points-note" role="status" hidden></p>
<div class="player-dials" hidden>
<div class="player-dial"{views_hidden}><label for="{name}-view">across</label>
<select id="{name}-view">{views}</select></div>
<div class="player-dial"><label for="{name}-name">which</label>
<select id="{name}-name" data-notes="{notes}"><option value="-1">choose one</option>
{names}</select></div></div>
<script>{script}</script></div>"""

_FRAME = (
    '<div class="player-frame" role="img" aria-label="{alt}" data-spots="{spots}"'
    "{hidden}>{svg}</div>\n"
)

_STYLE = (
    BASE_STYLE
    + """\
.points .player-frames{position:relative}
.points .player-dial{min-width:0}
.points .player-dial[hidden]{display:none}
.points select{flex:1;min-width:6rem;max-width:100%;min-height:2.6rem;padding:0 .4rem;
font:inherit;color:inherit;background:inherit;border:1px solid currentColor;
border-radius:.4rem}
.points option{color:#1f2328;background:#fff}
.points-note{min-height:3.2em;margin:.3rem 0;font-variant-numeric:tabular-nums}
.points-note[hidden]{display:none}
.points-ring{position:absolute;box-sizing:content-box;width:16px;height:16px;
margin:-11px 0 0 -11px;border:3px solid var(--book-validation,#d55e00);
border-radius:50%;pointer-events:none}
.points-ring[hidden]{display:none}
@media print{.player-dials,.points-note,.points-ring{display:none}}
"""
)

# The lists appear only once this has run. A finger has to tap, so that it can scroll.
_SCRIPT = """
(() => {
  const root = document.getElementById(%s);
  if (!root) return;
  const frames = [...root.querySelectorAll(".player-frame")];
  const spots = frames.map(frame => JSON.parse(frame.dataset.spots));
  const [view, name] = root.querySelectorAll("select");
  const notes = JSON.parse(name.dataset.notes);
  const ring = root.querySelector(".points-ring");
  const note = root.querySelector(".points-note");
  const show = () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(view.value); });
    const at = Number(name.value);
    const spot = at < 0 ? null : spots[view.value][at];
    ring.hidden = !spot;
    if (spot) {
      ring.style.left = spot[0] / 10 + "%%";
      ring.style.top = spot[1] / 10 + "%%";
    }
    const missing = at >= 0 && !spot ? " (not in this view)" : "";
    const text = at < 0 ? "Point at a dot, tap it, or choose below."
      : name.selectedOptions[0].text + ": " + notes[at] + missing;
    if (note.textContent !== text) note.textContent = text;
  };
  const pick = event => {
    const box = frames[view.value].getBoundingClientRect();
    let best = -1, nearest = 24 * 24;
    spots[view.value].forEach((spot, i) => {
      if (!spot) return;
      const dx = box.left + spot[0] / 1000 * box.width - event.clientX;
      const dy = box.top + spot[1] / 1000 * box.height - event.clientY;
      if (dx * dx + dy * dy < nearest) { best = i; nearest = dx * dx + dy * dy; }
    });
    if (best >= 0) { name.value = best; show(); }
  };
  for (const frame of frames) {
    frame.addEventListener("click", pick);
    frame.addEventListener("pointermove", event => {
      if (event.pointerType === "mouse") pick(event);
    });
  }
  view.addEventListener("change", show);
  name.addEventListener("change", show);
  root.querySelector(".player-dials").hidden = false;
  note.hidden = false;
  show();
})();
"""
