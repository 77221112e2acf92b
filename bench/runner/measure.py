# SPDX-License-Identifier: MIT
"""Runs a command once and measures it."""

import os
import random
import re
import shlex
import shutil
import signal
import socket
import threading
import time

SAMPLE_SECONDS = 0.005
PAGE = os.sysconf("SC_PAGE_SIZE")


class Case:
    """One row of the tables: a workload with a number of threads, or a program."""

    def __init__(self, name, threads, argv, needs=()):
        self.name, self.threads, self.argv, self.needs = name, threads, argv, needs

    def label(self):
        return self.name if self.threads is None else f"{self.name}/{self.threads}"

    def kind(self):
        return "program" if self.threads is None else "workload"

    def missing(self):
        return [program for program in self.needs if shutil.which(program) is None]


class Order:
    """Each round takes the allocators in another order: who runs after a process that has just given back huge pages
    gets them warm, and who runs after one with small pages has to make new ones. The same orders for the same case."""

    def __init__(self, case):
        self.random = random.Random(case.label())

    def turn(self, chosen):
        return self.random.sample(chosen, len(chosen))


def workload_case(entry, threads, build, work, seed):
    program, *options = shlex.split(entry["run"])
    shared = ["--threads", str(threads), "--work", str(work), "--seed", str(seed)]
    return Case(entry["name"], threads, [os.path.join(build, "bench", program), *options, *shared])


def program_case(entry):
    return Case(entry["name"], None, ["sh", "-c", entry["run"]], entry["needs"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command_for(case, allocator):
    """The command and its environment: a program is preloaded where it says so, a workload as a whole."""
    environment = dict(os.environ, PORT=str(free_port()))
    environment.pop("LD_PRELOAD", None)
    if case.threads is None:
        prefix = shlex.join(["env", *allocator.variables()])
        return [word.replace("ALLOCATE", prefix) for word in case.argv], environment
    return ["env", *allocator.variables(), *case.argv], environment


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def resident_bytes(pid):
    """Of the processes below one, the one itself not counted."""
    total = 0
    for child in children(pid):
        try:
            with open(f"/proc/{child}/statm", encoding="ascii") as statm:
                total += int(statm.read().split()[1]) * PAGE
            total += resident_bytes(child)
        except (OSError, IndexError):
            pass  # it has ended
    return total


class Sampler(threading.Thread):
    """The mean resident size of what a launcher started."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.begin = time.perf_counter()
        self.samples, self.over = [], threading.Event()  # (seconds, bytes)

    def run(self):
        while not self.over.wait(SAMPLE_SECONDS):
            try:
                self.samples.append((time.perf_counter() - self.begin, resident_bytes(self.pid)))
            except (OSError, IndexError):
                return

    def mean(self):
        self.over.set()
        self.join()
        return sum(size for _, size in self.samples) / len(self.samples) if self.samples else 0


def start(argv, environment, output, report):
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        os.setpgid(0, 0)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(report, 3)
        os.execve(argv[0], argv, environment)
    finally:
        os._exit(127)


def results(text):
    return {name: float(value) for name, value in re.findall(r"^result (\S+) ([\d.e+-]+) \S+$", text, re.MULTILINE)}


def whole_text(descriptor):
    text = os.pread(descriptor, 1 << 20, 0).decode(errors="replace")
    os.close(descriptor)
    return text


def run_fully(case, allocator, launcher, timeout):
    """What one run took, what it printed, and its resident size over time; None if it failed."""
    argv, environment = command_for(case, allocator)
    output, report = os.memfd_create("output"), os.memfd_create("report")
    begin = time.perf_counter()
    pid = start([launcher, *argv], environment, output, report)
    sampler = Sampler(pid)
    sampler.start()
    watchdog = threading.Timer(timeout, lambda: os.killpg(pid, signal.SIGKILL))
    watchdog.start()
    _, status = os.waitpid(pid, 0)
    wall = time.perf_counter() - begin
    watchdog.cancel()
    mean = sampler.mean()
    text, used = whole_text(output), whole_text(report).split()
    if status != 0 or len(used) != 4:
        return None
    measures = dict(zip(("user", "system", "faults", "peak"), map(float, used)))
    return {"wall": wall, **measures, "mean": mean, **results(text)}, text, sampler.samples


def run_once(case, allocator, launcher, timeout):
    """What one run took, or None if it failed."""
    found = run_fully(case, allocator, launcher, timeout)
    return found and found[0]
