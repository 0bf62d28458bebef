#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""http-abuse.py SOCKET: clients that a small HTTP server meets. Exits with 1 and a sentence if one of them gets
what it should not, or keeps others from being served."""
import os
import socket
import sys
import time

path = sys.argv[1]
GOOD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s


def answer(s):
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    s.close()
    return data.split(b"\r\n", 1)[0].decode()


def ask(data):
    s = connect()
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return answer(s)


def expect(what, got, wanted):
    if wanted not in got:
        sys.exit("%s: %r, not %r" % (what, got, wanted))


expect("another path", ask(b"GET / HTTP/1.1\r\n\r\n"), "404")
expect("another method", ask(b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), "405")
expect("a later version", ask(b"GET /metrics HTTP/2.0\r\n\r\n"), "505")
expect("garbage", ask(os.urandom(64).replace(b"\n", b"x") + b"\n"), "400")
expect("gRPC", ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505")
expect("a long head", ask(b"GET /metrics HTTP/1.1\r\nA: " + b"a" * 100000), "431")
expect("many fields", ask(b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 100000), "431")
s = connect()
s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + GOOD * 1000)
expect("pipelining", answer(s), "200")
s = connect()
for i in range(len(GOOD)):
    s.sendall(GOOD[i:i + 1])
    time.sleep(0.002)
expect("a byte at a time", answer(s), "200")
s = connect()
s.close()
s = connect()
s.sendall(GOOD)
s.close()

# Who holds connections loses them to those who come.
idle = [connect() for _ in range(100)]
for s in idle[:50]:
    try:
        s.sendall(b"GET /metr")
    except (BrokenPipeError, ConnectionResetError):
        pass
expect("beside a hundred idle ones", ask(GOOD), "200")
begun = time.time()
s = connect()
s.sendall(b"GET /metrics HTTP/1.1\r\n")
expect("a client that never ends its head", answer(s) or "nothing", "nothing")
if not 3 < time.time() - begun < 9:
    sys.exit("it was closed after %.1f s" % (time.time() - begun))
for s in idle:
    s.close()
expect("afterwards", ask(GOOD), "200")
