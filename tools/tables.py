# SPDX-License-Identifier: MIT
"""What the generators share: reading the .def tables, and keeping written files up to date."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

TOKEN = re.compile(r'//[^\n]*|\s+|"(?:\\.|[^"\\])*"|[(),]|[^\s(),"]+')


def tokens(text):
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise SystemExit(f"cannot read the table at: {text[at:at + 40]!r}")
        at = match.end()
        token = match.group()
        if not token.isspace() and not token.startswith("//"):
            yield token


def arguments(stream):
    """The arguments of one macro call, up to its closing parenthesis; adjacent strings are joined."""
    found, depth = [""], 1
    for token in stream:
        depth += (token == "(") - (token == ")")
        if depth == 0:
            return found
        if token == "," and depth == 1:
            found.append("")
        else:
            found[-1] += token[1:-1].replace('\\"', '"') if token[0] == '"' else token
    raise SystemExit("the table ends inside an entry")


def entries(path, *macros):
    """The arguments of each use of one of the macros in a table."""
    stream = tokens((ROOT / path).read_text())
    for token in stream:
        opening = next(stream, None)
        if opening != "(":
            raise SystemExit(f"{path}: {token} is not followed by its arguments")
        row = arguments(stream)
        if token in macros:
            yield row


OPTIONS = "src/core/options.def"


def size(text):
    """The bytes that a size such as KIB(64) in a table stands for."""
    number, unit = re.fullmatch(r"(?:([KMGT])IB\()?(\d+)\)?", text).group(2, 1)
    return int(number) << (10 * ("KMGT".index(unit) + 1) if unit else 0)


def option_default(name):
    """The default of an option that is a size."""
    return next(size(row[5]) for row in entries(OPTIONS, "OPTION") if row[0] == name)


def between_marks(path, new, begin="<!-- generated: begin -->\n", end="<!-- generated: end -->\n"):
    """The file's text with `new` in the place between the two marks."""
    text = (ROOT / path).read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{path}: needs one line {begin.strip()!r} and one line {end.strip()!r}")
    head, _, rest = text.partition(begin)
    return head + begin + new + end + rest.partition(end)[2]


def finish(files):
    """Writes {path: text}, or with --check reports what is out of date; returns the exit status."""
    name = pathlib.Path(sys.argv[0]).name
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit(f"usage: {name} [--check]")
    status = 0
    for path, text in files.items():
        file = ROOT / path
        if file.exists() and file.read_text() == text:
            continue
        if sys.argv[1:]:
            print(f"{path} is out of date: run tools/{name}", file=sys.stderr)
            status = 1
        else:
            file.write_text(text)
    return status
