# SPDX-License-Identifier: MIT
"""Tables, plots and the page, from the runs' figures."""

import csv
import html
import io
import math
import statistics

BASE = "tarn"
WIDE_SPREAD = 0.10


def median(runs, measure):
    return statistics.median(run[measure] for run in runs)


def spread(runs):
    """Half the distance between the quartiles of the wall time, relative to its median."""
    walls = sorted(run["wall"] for run in runs)
    return (walls[3 * len(walls) // 4] - walls[len(walls) // 4]) / 2 / statistics.median(walls)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def peers_of(row):
    return [name for name in row if name not in (BASE, "system")] or [name for name in row if name != BASE]


def ratios(rows, measure, peer):
    """tarn's median over the peer's, for each case that both finished."""
    found = {}
    for label, row in rows.items():
        if row.get(BASE) and row.get(peer):
            below = median(row[peer], measure)
            if below > 0:
                found[label] = median(row[BASE], measure) / below
    return found


def best_peer(row, measure):
    """The smallest median of all that are not tarn."""
    return min((median(runs, measure) for name, runs in row.items() if name != BASE and runs), default=None)


def ratios_to_best(rows, measure):
    found = {}
    for label, row in rows.items():
        best = best_peer(row, measure)
        if row.get(BASE) and best:
            found[label] = median(row[BASE], measure) / best
    return found


def table(rows, names, measure):
    """A line for each case: tarn's figure, and how many times as much each other one takes."""
    lines = [["case", BASE, *(name for name in names if name != BASE), "tarn/best", "noisy"]]
    best = ratios_to_best(rows, measure)
    for label, row in rows.items():
        own = median(row[BASE], measure) if row.get(BASE) else None
        cells = [label, "failed" if own is None else f"{own:.3f}" if measure == "wall" else f"{own / 1e6:.1f}"]
        for name in names:
            if name != BASE:
                runs = row.get(name)
                cells.append("failed" if not runs else "-" if not own else f"{median(runs, measure) / own:.2f}")
        cells.append(f"{best[label]:.2f}" if label in best else "-")
        cells.append("yes" if any(runs and spread(runs) > WIDE_SPREAD for runs in row.values()) else "")
        lines.append(cells)
    return lines


def summary(rows, names, measure):
    lines = [["geometric mean of tarn over", "ratio", "worst case"]]
    found = [(name, ratios(rows, measure, name)) for name in names if name != BASE]
    for name, values in [*found, ("the best of each case", ratios_to_best(rows, measure))]:
        worst = max(values, key=values.get, default="-")
        worst_text = f"{worst} {values[worst]:.2f}" if values else "-"
        lines.append([name, f"{geometric_mean(list(values.values())):.3f}", worst_text])
    return lines


def as_text(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def as_html(lines):
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in lines[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


TITLES = {"wall": "wall time (tarn: seconds; others: times tarn's)", "peak": "peak RSS (tarn: MB; others: times tarn's)"}


def text_report(rows, names):
    parts = []
    for measure, title in TITLES.items():
        parts += [title, as_text(table(rows, names, measure)), "", as_text(summary(rows, names, measure)), ""]
    return "\n".join(parts)


def plot(rows, names, measure):
    """An SVG picture: how many times tarn's figure each allocator takes in each case."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    labels = [label for label, row in rows.items() if row.get(BASE)]
    figure, axes = pyplot.subplots(figsize=(10, 1 + 0.32 * len(labels)))
    for name in names:
        found = ratios(rows, measure, name)
        points = [(1 / found[label], i) for i, label in enumerate(labels) if label in found]
        axes.plot([x for x, _ in points], [y for _, y in points], "o", label=name)
    axes.set_xscale("log", base=2)
    axes.axvline(1, color="gray")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(f"{measure}, times tarn's: right of the line is more than tarn")
    axes.legend()
    figure.tight_layout()
    picture = io.StringIO()
    figure.savefig(picture, format="svg")
    pyplot.close(figure)
    return picture.getvalue()


def page(rows, names, facts):
    parts = ["<!doctype html><meta charset=utf-8><title>tarn: measurements</title>",
             "<style>body{font:14px sans-serif;margin:2em}td,th{padding:2px 8px;text-align:right}</style>",
             as_html([["fact", "value"], *([key, str(value)] for key, value in facts.items())])]
    for measure, title in TITLES.items():
        parts += [f"<h2>{html.escape(title)}</h2>", as_html(summary(rows, names, measure))]
        try:
            picture = plot(rows, names, measure)
            parts.append(picture[picture.index("<svg"):])
        except ImportError:
            parts.append("<p>No plots: matplotlib (python3-matplotlib) is not installed.</p>")
        parts.append(as_html(table(rows, names, measure)))
    return "\n".join(parts)


def write_csv(path, rows, facts):
    measures = ["wall", "user", "system", "faults", "peak", "mean"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        for key, value in facts.items():
            file.write(f"# {key}: {value}\n")
        writer = csv.writer(file)
        writer.writerow(["case", "allocator", "round", *measures, "results"])
        for label, row in rows.items():
            for name, runs in row.items():
                for i, run in enumerate(runs):
                    rest = " ".join(f"{key}={value:g}" for key, value in run.items() if key not in measures)
                    writer.writerow([label, name, i, *(f"{run[measure]:.6g}" for measure in measures), rest])
