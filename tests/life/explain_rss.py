# SPDX-License-Identifier: MIT
"""Run by python3 with the library preloaded: the parts of resident memory that the library reports are what the
kernel counts for the process, within 2 %, at several moments of a program that was not made for it. So are the heap's
own parts of what the kernel counts in the heap's mappings alone, where nothing is a remainder."""

import ctypes
import json
import re
import threading

LIBRARY = ctypes.CDLL(None)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
JSON = 1
HEAP_PARTS = ["live", "cached", "span_free", "span_waste", "dirty", "excess"]
PARTS = [*HEAP_PARTS, "metadata", "file", "other"]
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) .*?^Rss: +([0-9]+) kB$", re.MULTILINE | re.DOTALL)


def stats():
    pieces = []
    write = WRITE(lambda _, text, size: pieces.append(ctypes.string_at(text, size)))
    assert LIBRARY.tarn_stats_print(JSON, write, None) == 0
    return json.loads(b"".join(pieces))


def resident_bytes():
    with open("/proc/self/smaps_rollup") as rollup:
        return next(int(line.split()[1]) << 10 for line in rollup if line.startswith("Rss:"))


def window_bytes(reserved):
    """What is resident in the heap's window, which ends with the largest of all mappings: what is not open yet."""
    with open("/proc/self/smaps") as smaps:
        mappings = [(int(start, 16), int(end, 16), int(kib) << 10) for start, end, kib in MAPPING.findall(smaps.read())]
    last = max(mappings, key=lambda mapping: mapping[1] - mapping[0])[1]
    return sum(size for start, end, size in mappings if start >= last - reserved and end <= last)


def explain(when, first=None):
    found, kernel = stats(), resident_bytes()
    window, heap = window_bytes(found["reserved_bytes"]), sum(found[f"resident_{name}_bytes"] for name in HEAP_PARTS)
    assert abs(window - heap) <= window * 0.02 + (128 << 10), (when, window, heap)
    parts = {name: found[f"resident_{name}_bytes"] for name in PARTS}
    print(when, kernel >> 10, "KiB:", {name: size >> 10 for name, size in parts.items()}, flush=True)
    assert abs(sum(parts.values()) - kernel) <= kernel * 0.02 + (256 << 10), when
    if first is not None:  # what came since is the heap's, and so must be its explanation
        assert abs(parts["other"] - first) <= kernel * 0.02 + (512 << 10), when
    return found


def main():
    first = explain("start")["resident_other_bytes"]
    texts = [str(i) * (i % 20) for i in range(300000)]
    explain("grown", first)
    table = {text: bytes(i % 3000) for i, text in enumerate(texts[::10])}
    explain("with a table", first)
    del texts[::2]
    for key in list(table)[::3]:
        del table[key]
    explain("half freed", first)
    untouched = ctypes.create_string_buffer(1)
    ctypes.resize(untouched, 200 << 20)
    assert explain("large block", first)["untouched_bytes"] >= 190 << 20
    workers = [threading.Thread(target=lambda: [bytearray(i) for i in range(3000)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    explain("after threads")


main()
