#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms-peer.py SOCKET WHAT: something that listens on a socket and is no good kms-shim, for its clients. WHAT is
bytes (garbage), silent (never answers), closes (at once), slow (a byte a second), settings (HTTP/2, and then
nothing), endless (HTTP/2 frames for ever), or one of the answers of a gRPC server: other-plaintext, other-key,
no-key, long-key, long-ciphertext, slash, unhealthy, version, not-protobuf, two-messages, no-status, bad-status,
http-500, reset, permission, exhausted, internal, many-headers, huge."""
import os
import socket
import struct
import sys
import threading
import time

import hpack

path, what = sys.argv[1:]
KEY = b"sha256:" + b"a" * 64


def field(number, data):
    out = bytes([number << 3 | 2])
    size = len(data)
    while size >= 0x80:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size]) + data


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def message(method, key):
    if method == "Status":
        version = b"v9" if what == "version" else b"v2"
        health = b"sealed" if what == "unhealthy" else b"ok"
        return field(1, version) + field(2, health) + field(3, key)
    if method == "Encrypt":
        name = b"a/b.example" if what == "slash" else b"id.kubetpm.internal"
        size = 1025 if what == "long-ciphertext" else 60
        answered = KEY.replace(b"a", b"b") if what == "other-key" else key
        return field(1, b"c" * size) + field(2, answered) + field(3, field(1, name) + field(2, b"x"))
    return field(1, b"p" * 32)


def answer(encoder, stream, method):
    key = b"" if what == "no-key" else b"k" * 1024 if what == "long-key" else KEY
    codes = {"permission": "7", "exhausted": "8", "internal": "13", "no-status": None, "bad-status": "x9"}
    code = codes.get(what, "0")
    if what == "reset":
        return frame(3, 0, stream, struct.pack(">I", 2))
    head = [(":status", "500" if what == "http-500" else "200"), ("content-type", "application/grpc")]
    if what == "many-headers":
        head += [("x-%d" % i, "y") for i in range(100)]
    if code not in ("0", None):
        head += [("grpc-status", code), ("grpc-message", "no%20%C3%A4%0A")]
        return frame(1, 5, stream, encoder.encode(head))
    body = os.urandom(40) if what == "not-protobuf" else message(method, key)
    if what == "huge":
        body = b"\n" + b"\xff\xff\x7f" + b"x" * 100000
    data = b"\0" + struct.pack(">I", len(body)) + body
    if what == "two-messages":
        data *= 2
    out = frame(1, 4, stream, encoder.encode(head))
    for at in range(0, len(data), 16384):
        out += frame(0, 0, stream, data[at:at + 16384])
    tail = [("grpc-status", "0")] if code is not None else [("x", "y")]
    return out + frame(1, 5, stream, encoder.encode(tail))


def serve_h2(client):
    data = b""
    while len(data) < 24:
        data += client.recv(65536)
    data = data[24:]
    client.sendall(frame(4, 0, 0, b""))
    if what == "settings":
        time.sleep(60)
    if what == "endless":
        while True:
            client.sendall(frame(6, 0, 0, b"12345678") * 1000)
    encoder, decoder, methods = hpack.Encoder(), hpack.Decoder(), {}
    while True:
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            more = client.recv(65536)
            if not more:
                return
            data += more
        size = int.from_bytes(data[:3], "big")
        kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
        payload, data = data[9:9 + size], data[9 + size:]
        if kind == 4 and not flags & 1:
            client.sendall(frame(4, 1, 0, b""))
        if kind == 1:
            fields = dict(decoder.decode(payload[5:] if flags & 0x20 else payload))
            methods[stream] = fields[":path"].rsplit("/", 1)[1]
        if kind in (0, 1) and flags & 1:
            client.sendall(answer(encoder, stream, methods[stream]))


def serve(client):
    try:
        if what == "bytes":
            client.sendall(os.urandom(4096))
            time.sleep(60)
        elif what == "silent":
            time.sleep(60)
        elif what == "slow":
            for byte in frame(4, 0, 0, b"") * 10:
                client.sendall(bytes([byte]))
                time.sleep(1)
        elif what == "closes":
            client.close()
        else:
            serve_h2(client)
    except OSError:
        pass


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(8)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
