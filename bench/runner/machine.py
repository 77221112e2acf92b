# SPDX-License-Identifier: MIT
"""What the machine is, and whether it is quiet enough."""

import os
import platform
import subprocess
import time

MOST_BUSY = 0.05  # share of the processors' time that others may use
MOST_SPREAD = 0.10  # of equal pieces of work


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit(root):
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def describe(root):
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(root),
        "processor": f"{cpu_model()}, {os.cpu_count()} of them",
        "memory": f"{pages / 2**30:.1f} GiB",
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }


def processor_times():
    """Busy and all ticks since the machine's start."""
    with open("/proc/stat", encoding="ascii") as lines:
        ticks = [int(word) for word in lines.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def busy_share(seconds):
    before = processor_times()
    time.sleep(seconds)
    after = processor_times()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def piece_of_work():
    start = time.perf_counter()
    sum(i * i for i in range(200000))
    return time.perf_counter() - start


def noise():
    """Why the machine is too noisy to measure on, or ""."""
    busy = busy_share(1.0)
    if busy > MOST_BUSY:
        return f"others use {busy:.0%} of the processors"
    pieces = sorted(piece_of_work() for _ in range(15))
    spread = pieces[-4] / pieces[0] - 1
    if spread > MOST_SPREAD:
        return f"equal pieces of work differ by {spread:.0%}"
    return ""
