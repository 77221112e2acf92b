# SPDX-License-Identifier: MIT
"""What bench/run-memory makes of the memory workloads' output: samples, tables, plots."""

import csv
import html
import io
import re

from runner import report

TITLES = {
    "peak_rss": "peak RSS, MB",
    "mean_rss": "mean RSS over the whole run, MB",
    "settled_rss": "settled RSS, MB",
    "rss_per_live": "settled RSS over live bytes",
    "kib_per_thread": "KiB for each idle thread",
    "slope": "rise of RSS over live bytes during the churn",
}
COMPARED = ["peak_rss", "mean_rss", "settled_rss"]
SAMPLE = re.compile(r"^sample (\d+) (\d+) (\d+) (\S+)$", re.MULTILINE)


def samples(text):
    """(milliseconds, live bytes, resident bytes, phase) of each sample that a workload printed."""
    return [(int(ms), int(live), int(rss), phase) for ms, live, rss, phase in SAMPLE.findall(text)]


def watched(timeline):
    """The same of a program that knows nothing of its own live bytes, as the runner saw it."""
    return [(round(1000 * seconds), None, rss, "run") for seconds, rss in timeline]


def with_measure(rows, measure):
    """The rows in which every run that did not fail has it."""
    return {label: row for label, row in rows.items()
            if any(row.values()) and all(measure in run for runs in row.values() for run in runs)}


def best_of(row, measure):
    """The best peer's name and figure."""
    found = {name: report.median(runs, measure) for name, runs in row.items() if name != report.BASE and runs}
    name = min(found, key=found.get, default=None)
    return name, found.get(name)


def times(own, best):
    return f"{own / best:.2f}" if own is not None and best is not None and own > 0 and best > 0 else "-"


def figure_text(measure, value):
    return f"{value / 1e6:.1f}" if measure in COMPARED else f"{value:.2f}"


def table(rows, names, measure):
    """A line for each case: everybody's figure, and tarn's over the best of the others."""
    lines = [["case", *names, "best", "tarn/best"]]
    for label, row in with_measure(rows, measure).items():
        figures = {name: report.median(row[name], measure) if row[name] else None for name in names}
        best, least = best_of(row, measure)
        cells = ["failed" if value is None else figure_text(measure, value) for value in figures.values()]
        lines.append([label, *cells, best or "-", times(figures.get(report.BASE), least)])
    return lines


def own_over_best(rows, row, label, measure):
    best, least = best_of(row, measure) if label in with_measure(rows, measure) else (None, None)
    return f"{times(report.median(row[report.BASE], measure), least)} {best}" if best and row.get(report.BASE) else "-"


def mean_ratio(rows, measure):
    found = report.ratios_to_best(with_measure(rows, measure), measure)
    return f"{report.geometric_mean(list(found.values())):.2f}" if found else "-"


def overview(rows):
    """tarn against the best of the others, in all that is compared."""
    lines = [["tarn over the best peer", "peak", "mean", "settled", "RSS/live", "best's RSS/live"]]
    ratios = with_measure(rows, "rss_per_live")
    for label, row in rows.items():
        cells = [own_over_best(rows, row, label, measure) for measure in COMPARED]
        own = report.median(row[report.BASE], "rss_per_live") if label in ratios and row.get(report.BASE) else None
        least = best_of(row, "rss_per_live")[1] if label in ratios else None
        lines.append([label, *cells, *("-" if value is None else f"{value:.2f}" for value in (own, least))])
    lines.append(["geometric mean", *(mean_ratio(rows, measure) for measure in COMPARED), "", ""])
    return lines


def parts(rows, names):
    """Pairs of title and table, the most important first."""
    found = [("overview", overview(rows))]
    for measure in COMPARED:
        found.append((TITLES[measure] + ": geometric means", report.summary(with_measure(rows, measure), names, measure)))
    for measure, title in TITLES.items():
        if with_measure(rows, measure):
            found.append((title, table(rows, names, measure)))
    return found


def as_text(rows, names):
    return "\n\n".join(f"{title}\n{report.as_text(lines)}" for title, lines in parts(rows, names)) + "\n"


def plot(label, traces):
    """An SVG picture of RSS over time, and live bytes as broken lines, for each allocator."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 4.5))
    for i, (name, found) in enumerate(traces.items()):
        seconds, color = [sample[0] / 1000 for sample in found], f"C{i}"
        axes.plot(seconds, [sample[2] / 1e6 for sample in found], "-", color=color, label=name)
        if found and found[0][1] is not None:
            axes.plot(seconds, [sample[1] / 1e6 for sample in found], ":", color=color, linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("MB resident (dots: live)")
    axes.set_title(label)
    axes.legend()
    figure.tight_layout()
    picture = io.StringIO()
    figure.savefig(picture, format="svg")
    pyplot.close(figure)
    return picture.getvalue()


def page(rows, names, facts, pictures):
    body = ["<!doctype html><meta charset=utf-8><title>tarn: memory</title>",
            "<style>body{font:14px sans-serif;margin:2em}td,th{padding:2px 8px;text-align:right}</style>",
            report.as_html([["fact", "value"], *([key, str(value)] for key, value in facts.items())])]
    for title, lines in parts(rows, names):
        body += [f"<h2>{html.escape(title)}</h2>", report.as_html(lines)]
    body += [picture[picture.index("<svg"):] for picture in pictures]
    return "\n".join(body)


def write_samples(path, traces):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "allocator", "ms", "live", "rss", "phase"])
        for label, found in traces.items():
            for name, trace in found.items():
                writer.writerows([label, name, ms, "" if live is None else live, rss, phase] for ms, live, rss, phase in trace)
