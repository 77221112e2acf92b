# SPDX-License-Identifier: MIT
"""Which allocators there are to measure, and their versions."""

import hashlib
import os
import pathlib
import subprocess

# name: (shared object, the Debian package that has it)
PACKAGED = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}


def found(shared_object):
    """The path that the dynamic loader knows for a shared object, or None."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name, _, path = line.strip().partition(" => ")
        if name.split()[:1] == [shared_object] and path:
            return path
    return None


class Allocator:
    def __init__(self, name, path, version, settings=()):
        self.name, self.path, self.version, self.settings = name, path, version, settings

    def variables(self):
        """What env(1) takes before a command that is to run with this allocator."""
        return [f"LD_PRELOAD={'' if self.path is None else self.path}", *self.settings]


def packaged(name):
    shared_object, package = PACKAGED[name]
    path = found(shared_object)
    if path is None:
        return None
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return Allocator(name, path, f"{package} {query.stdout.strip()}")


def digest(path):
    return "sha256 " + hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:16]


def from_word(word, build):
    """The allocator that a word of --allocators means; None if its package is missing."""
    name, equals, rest = word.partition("=")
    if equals:
        path, *settings = rest.split("@")
        return Allocator(name, os.path.abspath(path), " ".join([digest(path), *settings]), settings)
    if name == "tarn":
        path = (pathlib.Path(build) / "libtarn.so").resolve()
        return Allocator(name, path, digest(path))
    if name == "system":
        # Preloaded too: a program may be linked to another allocator, as Debian's redis-server is.
        return Allocator(name, found("libc.so.6"), "the C library's")
    if name in PACKAGED:
        return packaged(name)
    raise SystemExit(f"run: no allocator is called {name}; NAME=path.so[@VARIABLE=VALUE...] names any other")


def choose(words, build):
    """All of them that are installed, unless `words` says which."""
    chosen = []
    for word in words or ["tarn", "system", *PACKAGED]:
        allocator = from_word(word, build)
        if allocator is None:
            print(f"run: {word} is not installed (package {PACKAGED[word][1]}); going on without it")
        else:
            chosen.append(allocator)
    return chosen


def check_preload(allocator):
    """Fails where the loader ignores the library: then the system's allocator would be measured in its name."""
    if allocator.path is None:
        return
    maps = subprocess.run(["env", *allocator.variables(), "cat", "/proc/self/maps"], capture_output=True, text=True)
    if str(pathlib.Path(allocator.path).resolve()) not in maps.stdout:
        raise SystemExit(f"run: {allocator.name}: {allocator.path} cannot be preloaded\n{maps.stderr}")
