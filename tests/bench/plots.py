"""One series as a small SVG: logarithmic axes, every point labelled."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 260, 60, 20, 20, 48


def _short(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _scale(values, low, high):
    logs = [math.log10(value) for value in values]
    least, most = min(logs), max(logs)
    span = (most - least) or 1.0
    return [low + (high - low) * (value - least) / span for value in logs]


def line_plot(points, x_title, y_title):
    xs = _scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    ys = _scale([y for _, y in points], HEIGHT - BOTTOM, TOP + 14)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM + 8}" x2="{WIDTH - RIGHT}" '
        f'y2="{HEIGHT - BOTTOM + 8}" stroke="#999"/>',
        f'<polyline points="{path}" fill="none" stroke="#1f6feb" stroke-width="2"/>']
    for (x_value, y_value), x, y in zip(points, xs, ys):
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f6feb"/>',
                  f'<text x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle">{_short(y_value)}</text>',
                  f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">'
                  f'{_short(x_value)}</text>']
    parts += [f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_title}</text>',
              f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" '
              f'transform="rotate(-90 14 {HEIGHT / 2})">{y_title}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
