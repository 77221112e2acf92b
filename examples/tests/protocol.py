#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Talks the memcached text protocol to a server and checks every reply.

    protocol.py PORT...                 servers that already run on the loopback; a real memcached passes, too
    protocol.py --spawn PROGRAM [ARG]   starts `PROGRAM ARG... -p 0`, reads its port, and expects a clean end
"""

import re
import signal
import socket
import subprocess
import sys
import time

LONG_KEY = b"k" * 251
BAD_LINE = b"CLIENT_ERROR bad command line format\r\n"
NOT_A_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
DELETE_USAGE = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
MIB = 1 << 20


def value(key, data, flags=0):
    return b"VALUE %s %d %d\r\n%s\r\n" % (key, flags, len(data), data)


def put(command, key, data, flags=0, expiry=0, rest=b""):
    return b"%s %s %d %d %d%s\r\n%s\r\n" % (command, key, flags, expiry, len(data), rest, data)


# Each: what it shows, what is sent, what must come back; <N> stands for any number.
# They run in this order on one connection, beginning with an empty store.
EXCHANGES = [
    ("a miss", b"get a\r\n", b"END\r\n"),
    ("set and get",
     put(b"set", b"a", b"hello", 7) + b"get a\r\n",
     b"STORED\r\n" + value(b"a", b"hello", 7) + b"END\r\n"),
    ("an empty value", put(b"set", b"e", b"") + b"get e\r\n", b"STORED\r\n" + value(b"e", b"") + b"END\r\n"),
    ("line ends within a value",
     put(b"set", b"n", b"a\r\nget a\r\n") + b"get n\r\n",
     b"STORED\r\n" + value(b"n", b"a\r\nget a\r\n") + b"END\r\n"),
    ("many keys",
     b"get a none e a\r\n",
     value(b"a", b"hello", 7) + value(b"e", b"") + value(b"a", b"hello", 7) + b"END\r\n"),
    ("gets", b"gets a e\r\n", b"VALUE a 7 5 <N>\r\nhello\r\nVALUE e 0 0 <N>\r\n\r\nEND\r\n"),
    ("more blanks than needed", b"get  a   none \r\n", value(b"a", b"hello", 7) + b"END\r\n"),
    ("lines that end in a line feed alone",
     b"set l 0 0 1\nx\r\nget l\n",
     b"STORED\r\n" + value(b"l", b"x") + b"END\r\n"),
    ("largest flags",
     put(b"set", b"f", b"x", 4294967295) + b"get f\r\n",
     b"STORED\r\n" + value(b"f", b"x", 4294967295) + b"END\r\n"),
    ("add",
     put(b"add", b"a", b"no") + put(b"add", b"b", b"1") + b"get b\r\n",
     b"NOT_STORED\r\nSTORED\r\n" + value(b"b", b"1") + b"END\r\n"),
    ("replace",
     put(b"replace", b"none", b"no") + put(b"replace", b"b", b"2", 3) + b"get b\r\n",
     b"NOT_STORED\r\nSTORED\r\n" + value(b"b", b"2", 3) + b"END\r\n"),
    ("append and prepend keep the flags",
     put(b"append", b"b", b"34", 9) + put(b"prepend", b"b", b"01", 9) + b"get b\r\n",
     b"STORED\r\nSTORED\r\n" + value(b"b", b"01234", 3) + b"END\r\n"),
    ("append to nothing",
     put(b"append", b"none", b"x") + put(b"prepend", b"none", b"x"),
     b"NOT_STORED\r\nNOT_STORED\r\n"),
    ("delete", b"delete b\r\ndelete b\r\nget b\r\n", b"DELETED\r\nNOT_FOUND\r\nEND\r\n"),
    ("delete with a delay of nought", b"delete b 0\r\n", b"NOT_FOUND\r\n"),
    ("delete with a delay", b"delete a 5\r\ndelete a b c\r\n", DELETE_USAGE + DELETE_USAGE),
    ("delete with too few and too many words", b"delete\r\ndelete a b c d\r\n", b"ERROR\r\nERROR\r\n"),
    ("cas",
     put(b"cas", b"none", b"x", rest=b" 1") + put(b"cas", b"a", b"x", rest=b" 999999999"),
     b"NOT_FOUND\r\nEXISTS\r\n"),
    ("cas without a number", put(b"cas", b"a", b"x", rest=b" y"), BAD_LINE + b"ERROR\r\n"),
    ("incr and decr",
     put(b"set", b"c", b"10", 5) + b"incr c 5\r\ndecr c 6\r\nget c\r\nincr c 991\r\nget c\r\n",
     b"STORED\r\n15\r\n9\r\n" + value(b"c", b"9 ", 5) + b"END\r\n1000\r\n" + value(b"c", b"1000", 5)
     + b"END\r\n"),
    ("decr stops at nought", b"decr c 5000\r\nget c\r\n", b"0\r\n" + value(b"c", b"0   ", 5) + b"END\r\n"),
    ("incr begins again", put(b"set", b"c", b"18446744073709551615") + b"incr c 2\r\n", b"STORED\r\n1\r\n"),
    ("incr of nothing", b"incr none 1\r\ndecr none 1\r\n", b"NOT_FOUND\r\nNOT_FOUND\r\n"),
    ("incr of text", b"incr a 1\r\nincr e 1\r\n", NOT_A_NUMBER + NOT_A_NUMBER),
    ("incr of too long a number",
     put(b"set", b"c", b"184467440737095516150") + b"incr c 1\r\n",
     b"STORED\r\n" + NOT_A_NUMBER),
    ("incr by text", b"incr c x\r\nincr c -1\r\nincr c 99999999999999999999\r\n", BAD_DELTA * 3),
    ("incr with too few words", b"incr c\r\nincr\r\n", b"ERROR\r\nERROR\r\n"),
    ("touch", b"touch a 100\r\ntouch none 1\r\ntouch a 0\r\n", b"TOUCHED\r\nNOT_FOUND\r\nTOUCHED\r\n"),
    ("touch with a bad time",
     b"touch a x\r\ntouch a\r\n",
     b"CLIENT_ERROR invalid exptime argument\r\nERROR\r\n"),
    ("already expired", put(b"set", b"x", b"1", expiry=-1) + b"get x\r\n", b"STORED\r\nEND\r\n"),
    ("expired long since 1970", put(b"set", b"x", b"1", expiry=2592001) + b"get x\r\n", b"STORED\r\nEND\r\n"),
    ("add after expiry",
     put(b"add", b"x", b"2") + b"get x\r\n",
     b"STORED\r\n" + value(b"x", b"2") + b"END\r\n"),
    ("noreply",
     put(b"set", b"q", b"1", rest=b" noreply") + put(b"add", b"q", b"2", rest=b" noreply")
     + put(b"append", b"q", b"2", rest=b" noreply")
     + b"incr q 3 noreply\r\nincr q x noreply\r\ntouch q 0 noreply\r\n"
     + b"delete none noreply\r\ndelete none 0 noreply\r\nverbosity 0 noreply\r\nget q\r\n",
     value(b"q", b"15") + b"END\r\n"),
    ("noreply with a bad value", b"set q 0 0 3 noreply\r\nabcde\r\n", b"ERROR\r\n"),
    ("noreply with too large a value",
     put(b"set", b"q", b"x" * (MIB + 1), rest=b" noreply") + b"get q\r\n",
     b"END\r\n"),
    ("too large a value", put(b"set", b"a", b"x" * (MIB + 1)) + b"get a\r\n", TOO_LARGE + b"END\r\n"),
    ("longest key",
     put(b"set", LONG_KEY[1:], b"x") + b"get %s\r\n" % LONG_KEY[1:],
     b"STORED\r\n" + value(LONG_KEY[1:], b"x") + b"END\r\n"),
    ("too long a key", b"get %s\r\n" % LONG_KEY, BAD_LINE),
    ("too long a key elsewhere",
     b"delete %s\r\nincr %s 1\r\ntouch %s 1\r\n" % (LONG_KEY, LONG_KEY, LONG_KEY),
     BAD_LINE * 3),
    ("set with too long a key", put(b"set", LONG_KEY, b"abc"), BAD_LINE + b"ERROR\r\n"),
    ("set with bad numbers",
     b"set a -1 0 1\r\nset a 0 x 1\r\nset a 0 0 -1\r\nset a 0 0 5x\r\n",
     BAD_LINE * 4),
    ("set with too few and too many words",
     b"set a 0 0\r\nset a 0 0 1 noreply x\r\nset\r\n",
     b"ERROR\r\n" * 3),
    ("a value longer than said", b"set a 0 0 3\r\nabcdef\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
    ("a value shorter than said",
     b"set a 0 0 3\r\nab\r\nversion\r\n",
     b"CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
    ("a value with half a line end", b"set a 0 0 1\r\nx\n\n", b"CLIENT_ERROR bad data chunk\r\n"),
    ("no command", b"\r\n \r\nfoo\r\nGET a\r\nget\r\ngets\r\n", b"ERROR\r\n" * 6),
    ("verbosity",
     b"verbosity 0\r\nverbosity\r\nverbosity x\r\nverbosity 0 1 2\r\n",
     b"OK\r\nERROR\r\n" + BAD_LINE + b"ERROR\r\n"),
    ("many keys in a long line", b"get " + b"none " * 3000 + b"e\r\n", value(b"e", b"") + b"END\r\n"),
    ("flush_all",
     b"flush_all\r\nget e\r\nflush_all 0\r\nflush_all noreply\r\nflush_all 0 noreply\r\n",
     b"OK\r\nEND\r\nOK\r\n"),
    ("flush_all with bad words",
     b"flush_all x\r\nflush_all 1 2 3\r\n",
     b"CLIENT_ERROR invalid exptime argument\r\nERROR\r\n"),
]


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("the server closed the connection")
        self.rest += data

    def read_exactly(self, length):
        while len(self.rest) < length:
            self.read()
        data, self.rest = self.rest[:length], self.rest[length:]
        return data

    def read_until_version(self):
        """Everything before the reply to a `version` that was sent last."""
        while not (found := re.search(rb"VERSION [^\r\n]*\r\n\Z", self.rest)):
            self.read()
        data, self.rest = self.rest[:found.start()], b""
        return data

    def ask(self, data):
        self.send(data + b"version\r\n")
        return self.read_until_version()

    def closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


class Failure(Exception):
    pass


def shorten(data):
    return repr(data if len(data) < 300 else data[:140] + b" ... " + data[-140:])


def check(what, got, expected):
    pattern = re.escape(expected).replace(b"<N>", rb"\d+")
    if not re.fullmatch(pattern, got, re.DOTALL):
        raise Failure(f"{what}:\n  expected {shorten(expected)}\n  got      {shorten(got)}")


def run_exchanges(port):
    client = Client(port)
    for what, sent, expected in EXCHANGES:
        check(what, client.ask(sent), expected)


def run_pipelined(port):
    """All exchanges in one go, so that the server sees commands and values cut anywhere."""
    client = Client(port)
    client.send(b"".join(sent for _, sent, _ in EXCHANGES) + b"version\r\n")
    everything = b"".join(expected for _, _, expected in EXCHANGES)
    check("all commands at once", client.read_until_version(), everything)


def run_dripping(port):
    client = Client(port)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    small = [exchange for exchange in EXCHANGES if len(exchange[1]) < 300]
    for what, sent, expected in small:
        for byte in sent:
            client.send(bytes([byte]))
        check("byte by byte: " + what, client.ask(b""), expected)
    client.ask(b"flush_all\r\n")


def big_value(seed, length):
    return bytes((seed + i * 7) % 251 for i in range(1000)) * (length // 1000) + b"z" * (length % 1000)


def run_big_values(port):
    client = Client(port)
    own = client_is_kvserver(client)
    largest = MIB if own else 1000000
    for length in (16383, 16384, 65537, 500000, largest):
        data = big_value(length, length)
        check(f"a value of {length}", client.ask(put(b"set", b"big", data) + b"get big\r\n"),
              b"STORED\r\n" + value(b"big", data) + b"END\r\n")


def client_is_kvserver(client):
    client.send(b"version\r\n")
    while b"\r\n" not in client.rest:
        client.read()
    version, client.rest = client.rest, b""
    return b"tarn" in version


def run_slow_reader(port):
    """Replies far beyond what the socket takes, with the value replaced while it is being sent."""
    reader, writer = Client(port), Client(port)
    old, new = big_value(1, 300000), big_value(2, 300000)
    check("set", writer.ask(put(b"set", b"slow", old)), b"STORED\r\n")
    reader.send(b"get slow\r\n" * 60)
    time.sleep(0.2)
    check("replace while it is being sent", writer.ask(put(b"set", b"slow", new)), b"STORED\r\n")
    answers = [reader.read_exactly(len(value(b"slow", old)) + 5) for _ in range(60)]
    before, after = (value(b"slow", data) + b"END\r\n" for data in (old, new))
    seen = [answer == before for answer in answers]
    if not all(answer in (before, after) for answer in answers):
        raise Failure("a value that was replaced while being sent came out damaged")
    if seen != sorted(seen, reverse=True):
        raise Failure("an older value came after a newer one")


def run_cas(port):
    first, second = Client(port), Client(port)
    first.ask(put(b"set", b"c", b"1"))
    unique = re.search(rb"VALUE c 0 1 (\d+)\r\n", second.ask(b"gets c\r\n")).group(1)
    check("cas, unchanged", second.ask(put(b"cas", b"c", b"2", rest=b" " + unique)), b"STORED\r\n")
    check("cas, changed", first.ask(put(b"cas", b"c", b"3", rest=b" " + unique)), b"EXISTS\r\n")
    check("cas, result", first.ask(b"get c\r\n"), value(b"c", b"2") + b"END\r\n")


def run_expiry(port):
    client = Client(port)
    client.ask(put(b"set", b"t1", b"1", expiry=1) + put(b"set", b"t2", b"1", expiry=1) + b"touch t2 100\r\n"
               + put(b"set", b"t3", b"1", expiry=int(time.time()) + 100))
    time.sleep(2.2)
    check("expiry", client.ask(b"get t1 t2 t3\r\n"), value(b"t2", b"1") + value(b"t3", b"1") + b"END\r\n")
    check("a flush to come", client.ask(b"flush_all 3\r\nget t2\r\n"),
          b"OK\r\n" + value(b"t2", b"1") + b"END\r\n")
    time.sleep(4.5)
    check("a flush that has come", client.ask(b"get t2\r\n"), b"END\r\n")


def run_long_key_among_others(port):
    """Not one of the exchanges: memcached also drops the replies to commands that were sent with this one."""
    client = Client(port)
    check("set", client.ask(put(b"set", b"e", b"x")), b"STORED\r\n")
    check("too long a key among others", client.ask(b"get e %s e\r\n" % LONG_KEY), BAD_LINE)


def run_stats(port):
    client = Client(port)
    client.ask(b"flush_all\r\n" + put(b"set", b"s", b"1") + b"get s none\r\n")
    lines = client.ask(b"stats\r\n").split(b"\r\n")
    stats = dict(line.split(b" ", 2)[1:] for line in lines[:-2])
    if lines[-2:] != [b"END", b""] or int(stats[b"curr_items"]) < 1:
        raise Failure(f"stats: {lines}")
    for name in (b"pid", b"uptime", b"version", b"threads", b"curr_connections", b"cmd_get", b"cmd_set",
                 b"get_hits", b"get_misses", b"bytes", b"limit_maxbytes", b"evictions", b"total_items",
                 b"bytes_read"):
        if name not in stats:
            raise Failure(f"stats does not tell {name.decode()}")
    check("stats of something unknown", client.ask(b"stats nonsense\r\n"), b"ERROR\r\n")


def run_quit(port):
    client = Client(port)
    client.send(b"quit\r\nversion\r\n")
    if not client.closed():
        raise Failure("quit does not close the connection")


def run_many_connections(port):
    clients = [Client(port) for _ in range(100)]
    for i, client in enumerate(clients):
        client.send(put(b"set", b"m%d" % i, b"%d" % i) + b"version\r\n")
    for client in clients:
        check("set on one of many connections", client.read_until_version(), b"STORED\r\n")
    for i, client in enumerate(clients):
        j = (i * 37) % 100
        check("get on one of many connections", client.ask(b"get m%d\r\n" % j),
              value(b"m%d" % j, b"%d" % j) + b"END\r\n")


def run_eviction(port):
    """Twice as much as fits: the store stays within its bound and what was stored last is still there."""
    client = Client(port)
    limit = int(re.search(rb"limit_maxbytes (\d+)", client.ask(b"stats\r\n")).group(1))
    data = big_value(3, 100000)
    count = 2 * limit // len(data)
    for i in range(count):
        client.send(put(b"set", b"ev%d" % i, data, rest=b" noreply"))
    check("the last one", client.ask(b"get ev%d\r\n" % (count - 1)),
          value(b"ev%d" % (count - 1), data) + b"END\r\n")
    check("the first one", client.ask(b"get ev0\r\n"), b"END\r\n")
    stats = client.ask(b"stats\r\n")
    if int(re.search(rb"STAT bytes (\d+)", stats).group(1)) > limit:
        raise Failure("the memory bound is not kept")
    client.ask(b"flush_all\r\n")


SCENES = [run_exchanges, run_pipelined, run_dripping, run_big_values, run_slow_reader, run_cas, run_expiry,
          run_long_key_among_others, run_stats, run_quit, run_many_connections, run_eviction]


def run_all(port):
    Client(port).ask(b"flush_all\r\n")
    for scene in SCENES:
        scene(port)
        print(f"ok  {port}  {scene.__name__[4:].replace('_', ' ')}", flush=True)


def run_spawned(command):
    server = subprocess.Popen([*command, "-p", "0"], stdout=subprocess.PIPE, text=True)
    try:
        run_all(int(re.search(r":(\d+)", server.stdout.readline()).group(1)))
        server.send_signal(signal.SIGTERM)
        if server.wait(timeout=10) != 0:
            raise Failure(f"the server ended with {server.returncode}")
    finally:
        server.kill()
        server.wait()


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        if arguments[0] == "--spawn":
            run_spawned(arguments[1:])
        else:
            for port in arguments:
                run_all(int(port))
    except (Failure, EOFError, OSError) as failure:
        sys.exit(f"protocol.py: {failure}")


main(sys.argv[1:])
