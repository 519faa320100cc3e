"""Plots as inline SVG: lines over time, bars, and times on a logarithmic scale.

Colours and fonts come from the page's style sheet by class, so that a plot follows its theme and
prints well. Lines over time, columns, bars and shares take the width of the page and keep the size
of their texts; the others have one width. Values are floats: a pixel is coarser than any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape

BUCKETS = 600
WIDTH, HEIGHT = 1100, 290
LEFT, RIGHT, TOP, BOTTOM = 92, 14, 12, 30
ACROSS = 1000  # of a line's path: stretched to the width that there is, which texts are not
ROW = 36  # of bars: a line of text, and the bar below it
SPARSE = 3  # on a narrow page one of so many times stays
Point = tuple[float, float]


class Envelope:
    """Thin out a line over time: of each of `BUCKETS` spans the least and the greatest stay.

    A span in which there was only None is a gap in the line.
    """

    def __init__(self, start_ns: int, end_ns: int, buckets: int = BUCKETS) -> None:
        self._start_ns = start_ns
        self._span_ns = max(1, end_ns - start_ns)
        self._least: list[Point | None] = [None] * buckets
        self._greatest: list[Point | None] = [None] * buckets
        self._told = [False] * buckets

    def add(self, ts_ns: int, value: float | None) -> None:
        """Take in one value, or that there is none."""
        count = len(self._told)
        place = (ts_ns - self._start_ns) * count // self._span_ns
        place = min(max(place, 0), count - 1)
        self._told[place] = True
        if value is None:
            return
        point = (float(ts_ns), value)
        least, greatest = self._least[place], self._greatest[place]
        if least is None or value < least[1]:
            self._least[place] = point
        if greatest is None or value > greatest[1]:
            self._greatest[place] = point

    def parts(self) -> list[list[Point]]:
        """Return the line as its unbroken parts, points in the order of time."""
        out: list[list[Point]] = [[]]
        for least, greatest, told in zip(self._least, self._greatest, self._told, strict=True):
            if least is None or greatest is None:
                if told and out[-1]:
                    out.append([])
                continue
            out[-1] += sorted({least, greatest})
        return [part for part in out if part]


@dataclass(slots=True)
class Line:
    """A line of a time plot. `step`: the value holds until the next one."""

    name: str
    css: str
    parts: list[list[Point]]
    step: bool = False


@dataclass(slots=True)
class Marks:
    """Points of a time plot: dots, square ones or round by their class."""

    name: str
    css: str
    points: Sequence[Point]


@dataclass(slots=True)
class Scale:
    """Map values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(slots=True)
class Plot:
    """What a time plot shows. `rules`: moments at which a line stands, and what begins there."""

    title: str
    unit: str
    start_ns: int
    end_ns: int
    lines: list[Line] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    zero: bool = False  # keep zero in sight
    rules: Sequence[tuple[int, str]] = ()


def over_time(plot: Plot) -> str:
    """Draw lines and marks over time."""
    values = [y for line in plot.lines for part in line.parts for _, y in part]
    values += [y for marks in plot.marks for _, y in marks.points]
    if not values:
        return empty(plot.title)
    y_of, y_ticks = _value_scale(values, plot.zero)
    x_of = Scale(plot.start_ns, max(plot.end_ns, plot.start_ns + 1), 0, ACROSS)
    out = _field(plot.title, y_of, y_ticks, x_of)
    for at_ns, name in plot.rules:
        x = f"{100 * x_of(at_ns) / ACROSS:.2f}%"
        out.append(
            f'<line class="axis" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x}" dx="4" y="{TOP + 10}">{escape(name)}</text>'
        )
    out.append(
        f'<svg viewBox="0 0 {ACROSS} {HEIGHT}" preserveAspectRatio="none" width="100%" '
        f'height="{HEIGHT}">'
    )
    for line in plot.lines:
        path = "".join(_path(part, x_of, y_of, line.step) for part in line.parts)
        out.append(f'<path class="line {line.css}" d="{path}"/>')
    for marks in plot.marks:
        # A path without length is a dot, whatever the width.
        path = "".join(f"M{x_of(x):.1f} {y_of(y):.1f}h0" for x, y in marks.points)
        out.append(f'<path class="mark {marks.css}" d="{path}"/>')
    out.append("</svg></svg>")
    keys = [(line.name, line.css) for line in plot.lines]
    keys += [(marks.name, f"dot {marks.css}") for marks in plot.marks]
    return "".join(out) + _legend(keys, plot.unit)


def columns(
    title: str, unit: str, start_ns: int, end_ns: int, values: Sequence[float | None], css: str
) -> str:
    """Draw one column for each equal part of the time; None leaves it out."""
    known = [value for value in values if value is not None]
    if not known:
        return empty(title)
    y_of, ticks = _value_scale([0.0, *known], zero=True)
    x_of = Scale(start_ns, max(end_ns, start_ns + 1), 0, ACROSS)
    out = _field(title, y_of, ticks, x_of)
    step = 100 / len(values)
    base = y_of(0.0)
    for place, value in enumerate(values):
        if value is None:
            continue
        y = y_of(value)
        sign = "" if value >= 0 else " loss"
        out.append(
            f'<rect class="bar {css}{sign}" x="{(place + 0.05) * step:.3f}%" '
            f'y="{min(y, base):.1f}" width="{0.9 * step:.3f}%" '
            f'height="{max(abs(y - base), 0.5):.1f}"/>'
        )
    out.append("</svg>")
    return "".join(out) + _legend([(title, css)], unit)


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Draw a horizontal bar for each (name, value, value as told), from zero to either side."""
    if not rows:
        return empty(title)
    low = min(0.0, *(value for _, value, _ in rows))
    high = max(0.0, *(value for _, value, _ in rows))
    if low == high:
        high = 1.0
    x_of = Scale(low, high, 0, 100)
    height = ROW * len(rows) + 4
    out = [_open_wide(title, height)]
    zero = f"{x_of(0.0):.2f}%"
    for place, (name, value, told) in enumerate(rows):
        x0, x1 = sorted((x_of(0.0), x_of(value)))
        sign = "gain" if value >= 0 else "loss"
        y = ROW * place
        out.append(
            f"{_labels(y, name, told)}"
            f'<rect class="bar {sign}" x="{x0:.2f}%" y="{y + 20}" '
            f'width="{max(x1 - x0, 0.1):.2f}%" height="11"/>'
            f'<line class="axis" x1="{zero}" x2="{zero}" y1="{y + 18}" y2="{y + 33}"/>'
        )
    out.append("</svg>")
    return "".join(out)


def spans(title: str, rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Draw times in nanoseconds on a logarithmic scale: p50, p99, p99.9 and the greatest a row."""
    known = [(name, [max(1, value) for value in values]) for name, values in rows]
    if not known:
        return empty(title)
    low = math.floor(math.log10(min(min(values) for _, values in known)))
    high = math.ceil(math.log10(max(max(values) for _, values in known)))
    height = 24 * len(known) + 36
    x_of = Scale(low, max(high, low + 1), 170, WIDTH - 30)
    out = [_open(title, height)]
    for power in range(low, max(high, low + 1) + 1):
        x = x_of(power)
        out.append(
            f'<path class="grid" d="M{x:.1f} 6V{height - 26}"/>'
            f'<text class="tick mid" x="{x:.1f}" y="{height - 10}">{span(10**power)}</text>'
        )
    for place, (name, values) in enumerate(known):
        y = 18 + 24 * place
        xs = [x_of(math.log10(value)) for value in values]
        out.append(
            f'<text class="label end" x="160" y="{y + 4}">{escape(name)}</text>'
            f'<path class="span" d="M{xs[0]:.1f} {y}H{xs[-1]:.1f}"/>'
        )
        for x, css in zip(xs, ("p50", "p99", "p999", "most"), strict=True):
            out.append(f'<circle class="{css}" cx="{x:.1f}" cy="{y}" r="4.5"/>')
    out.append("</svg>")
    names = (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("greatest", "most"))
    return "".join(out) + _legend(names, "logarithmic")


def decline(
    title: str,
    x_unit: str,
    y_unit: str,
    points: Sequence[tuple[float, float, float, float, str]],
    line: Sequence[Point],
    names: Sequence[tuple[str, str]],
) -> str:
    """Draw points with their errors, and a line through them, values on a logarithmic scale.

    Args:
        points: (x, value, value less and plus its error, class of the mark); values above 0.
        line: of the fitted curve; empty: none.
        names: (name, class) of the legend.
    """
    if not points:
        return empty(title)
    values = [value for _, _, low, high, _ in points for value in (low, high)]
    bottom = math.floor(math.log10(min(values)))
    top = max(math.ceil(math.log10(max(values))), bottom + 1)
    y_of = Scale(bottom, top, HEIGHT - BOTTOM, TOP)
    step = _nice(max(x for x, *_ in points) / 8)
    x_of = Scale(0.0, step * math.ceil(max(x for x, *_ in points) / step), LEFT, WIDTH - RIGHT)
    out = [_open(title, HEIGHT)]
    for power in range(bottom, top + 1):
        y = y_of(power)
        out.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick end" x="{LEFT - 8}" y="{y + 4:.1f}">{10.0**power:g}</text>'
        )
    for number in range(round(x_of.high / step) + 1):
        x = x_of(number * step)
        out.append(
            f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text class="tick {"mid" if x < WIDTH - 40 else "end"}" x="{x:.1f}" '
            f'y="{HEIGHT - 10}">{number * step:g}</text>'
        )
    drawn = [(x, math.log10(y)) for x, y in line if 10.0**bottom <= y <= 10.0**top]
    if drawn:
        out.append(f'<path class="line target" d="{_path(drawn, x_of, y_of, False)}"/>')
    for at, value, low, high, css in points:
        x, y = x_of(at), y_of(math.log10(value))
        y0, y1 = y_of(math.log10(low)), y_of(math.log10(high))
        out.append(
            f'<path class="axis" d="M{x:.1f} {y0:.1f}V{y1:.1f}"/>'
            f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        )
    out.append("</svg>")
    return "".join(out) + _legend(names, f"{y_unit}, over {x_unit}")


def shares(title: str, unit: str, rows: Sequence[tuple[str, float, float, float, str]]) -> str:
    """Draw a bar from 0 to 1 for each (name, share, least and greatest it may be, share as told).

    The line through a bar's end is where the share may lie.
    """
    if not rows:
        return empty(title)
    foot = 24
    height = ROW * len(rows) + 4 + foot
    out = [_open_wide(title, height)]
    for tenth in range(0, 11, 2):
        x = f'x="{tenth * 10}%"'
        anchor = "mid" if 0 < tenth < 10 else "end" if tenth else ""
        out.append(
            f'<line class="grid" {x.replace("x=", "x1=")} {x.replace("x=", "x2=")} y1="4" '
            f'y2="{height - foot}"/>'
            f'<text class="tick {anchor}" {x} y="{height - 8}">{tenth * 10}%</text>'
        )
    for place, (name, value, low, high, told) in enumerate(rows):
        y = ROW * place
        x0, x1 = f"{100 * low:.2f}%", f"{100 * high:.2f}%"
        ends = "".join(
            f'<line class="axis" x1="{x}" x2="{x}" y1="{y + 20}" y2="{y + 31}"/>' for x in (x0, x1)
        )
        out.append(
            f"{_labels(y, name, told)}"
            f'<rect class="bar up" x="0" y="{y + 21}" width="{100 * value:.2f}%" height="9"/>'
            f'<line class="axis" x1="{x0}" x2="{x1}" y1="{y + 25.5}" y2="{y + 25.5}"/>{ends}'
        )
    out.append("</svg>")
    return "".join(out) + _legend([("share", "up")], unit)


def empty(title: str) -> str:
    """Say that there is nothing to draw."""
    return f'<p class="nothing" role="note">{escape(title)}: nothing on record</p>'


def span(span_ns: float) -> str:
    """Write a time with three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if span_ns >= size:
            return f"{span_ns / size:.3g} {unit}"
    return f"{span_ns:.3g} ns"


# ---------------------------------------------------------------- inside


def _open(title: str, height: int) -> str:
    return (
        f'<svg class="drawn" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}" preserveAspectRatio="xMidYMid meet">'
    )


def _open_wide(title: str, height: int, css: str = "plot") -> str:
    """Open a drawing that is as wide as the page, its texts as large as they are."""
    label = escape(title, quote=True)
    return f'<svg class="{css}" height="{height}" role="img" aria-label="{label}">'


def _field(
    title: str, y_of: Scale, ticks: list[tuple[float, str]], x_of: Scale
) -> list[str]:  # fmt: skip
    """Open a plot and draw its axes; values are told on its left, where the style leaves room."""
    out = [_open_wide(title, HEIGHT, "plot field")]
    for value, told in ticks:
        y = f"{y_of(value):.1f}"
        out.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
            f'<text class="tick end" x="-8" y="{y_of(value) + 4:.1f}">{told}</text>'
        )
    for place, (at_ns, told) in enumerate(_times(x_of.low, x_of.high)):
        share = x_of(at_ns) / ACROSS
        x = f"{100 * share:.2f}%"
        css = ("mid" if share < 0.96 else "end") + (" more" if place % SPARSE else "")
        out.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick {css}" x="{x}" y="{HEIGHT - 10}">{told}</text>'
        )
    return out


def _labels(y: int, name: str, told: str) -> str:
    return (
        f'<text class="label" x="0" y="{y + 14}">{escape(name)}</text>'
        f'<text class="label end" x="100%" y="{y + 14}">{escape(told)}</text>'
    )


def _path(part: Sequence[Point], x_of: Scale, y_of: Scale, step: bool) -> str:
    first, *rest = part
    out = [f"M{x_of(first[0]):.1f} {y_of(first[1]):.1f}"]
    for x, y in rest:
        if step:
            out.append(f"H{x_of(x):.1f}V{y_of(y):.1f}")
        else:
            out.append(f"L{x_of(x):.1f} {y_of(y):.1f}")
    if not rest:
        out.append("h1")
    return "".join(out)


def _value_scale(values: Sequence[float], zero: bool) -> tuple[Scale, list[tuple[float, str]]]:
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        room = abs(high) * 0.001 or 1.0
        low, high = low - room, high + room
    step = _nice((high - low) / 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = [(n * step, f"{n * step:,.{digits}f}") for n in range(first, last + 1)]
    return Scale(first * step, last * step, HEIGHT - BOTTOM, TOP), ticks


def _nice(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * unit for unit in (1, 2, 5, 10) if power * unit >= step * (1 - 1e-9))


def _times(low_ns: float, high_ns: float) -> list[tuple[float, str]]:
    """Return the times of a time axis, and how they are told."""
    span_s = (high_ns - low_ns) / 1e9
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200)
    step_s = next((one for one in steps if span_s / one <= 8), 86400 * math.ceil(span_s / 691200))
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < 86400 else "%d %b"
    out = []
    at_s = math.ceil(low_ns / 1e9 / step_s) * step_s
    while at_s * 1e9 <= high_ns:
        out.append((at_s * 1e9, datetime.fromtimestamp(at_s, UTC).strftime(form)))
        at_s += step_s
    return out


def _legend(items: Sequence[tuple[str, str]], unit: str) -> str:
    keys = "".join(f'<li><span class="key {css}"></span>{escape(name)}</li>' for name, css in items)
    return f'<ul class="legend">{keys}<li class="unit">{escape(unit)}</li></ul>'
