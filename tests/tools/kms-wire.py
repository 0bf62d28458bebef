#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms-wire.py
    replay SOCKET FILE.bin | hostile SOCKET CASE | cases |
    drain SOCKET PID | status SOCKET

HTTP/2 frames by hand, for what no gRPC client would send.

replay sends what a kube-apiserver once sent, request by request, then as a whole, byte by byte and
cut at random places. Each time the answers must be those of a plugin that does not hold the key of
the recording; what Encrypt answered must open to the plaintext that FILE.json tells.

hostile sends something bad, and checks what is to be said about it, if anything is.
"""

import json
import os
import random
import signal
import socket
import struct
import sys
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
OK, INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL = "0", "3", "8", "12", "13"
LAST_GOAWAY_BYTES = 42


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def grpc_message(payload, flag=0):
    return bytes([flag]) + struct.pack(">I", len(payload)) + payload


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message that has none but bytes: [(number, value)]."""
    found = []
    while message:
        number, length, shift, i = message[0] >> 3, 0, 0, 1
        while True:
            length |= (message[i] & 0x7f) << shift
            shift += 7
            i += 1
            if message[i - 1] < 0x80:
                break
        found.append((number, message[i:i + length]))
        message = message[i + length:]
    return found


def request_headers(method="v2.KeyManagementService/Status", **changes):
    """As the API server's, changed: name=value, name=None to leave it out."""
    all_of = {":method": "POST", ":scheme": "http", ":path": "/" + method,
              ":authority": "localhost", "content-type": "application/grpc", "te": "trailers",
              "grpc-timeout": "2999967u"}
    all_of.update({k.replace("__", ":").replace("_", "-"): v for k, v in changes.items()})
    return [(k, v) for k, v in all_of.items() if v is not None]


class Answer:
    def __init__(self):
        self.headers, self.data, self.ended, self.reset = {}, b"", False, None

    def status(self):
        return self.headers.get("grpc-status")

    def message(self):
        assert self.data[0] == 0 and struct.unpack(">I", self.data[1:5])[0] == len(self.data) - 5
        return self.data[5:]


class Wire:
    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(path)
                break
            except BlockingIOError:
                # The server's backlog is full.
                assert time.monotonic() < end, "nobody accepts"
                time.sleep(0.01)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.input, self.answers, self.block = b"", {}, b""
        self.settings = self.closed = False
        self.goaway = None

    def send(self, data):
        self.socket.sendall(data)

    def start(self):
        self.send(PREFACE + frame(SETTINGS, 0, 0))
        self.until(lambda: self.settings)
        self.send(frame(SETTINGS, ACK, 0))
        return self

    def until(self, done, seconds=10):
        """Reads frames until it is so; an end of file or silence ends it too."""
        end = time.monotonic() + seconds
        while not done() and not self.closed:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return False
            except ConnectionResetError:
                more = b""
            self.closed = more == b""
            self.input += more
            self.parse()
        return done()

    def parse(self):
        while len(self.input) >= 9:
            length = int.from_bytes(self.input[:3], "big")
            if len(self.input) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self.input[3:9])
            payload, self.input = self.input[9:9 + length], self.input[9 + length:]
            self.take(kind, flags, stream, payload)

    def take(self, kind, flags, stream, payload):
        answer = self.answers.setdefault(stream, Answer()) if stream else None
        assert self.settings or kind == SETTINGS, "the first frame is not SETTINGS"
        if kind == SETTINGS:
            self.settings = True
        elif kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                answer.headers.update(self.decoder.decode(self.block))
                self.block = b""
            answer.ended = answer.ended or (kind == HEADERS and bool(flags & END_STREAM))
        elif kind == DATA:
            answer.data += payload
            assert not flags & END_STREAM, "DATA ends the stream: no trailers"
        elif kind == RST:
            answer.reset = struct.unpack(">I", payload)[0]
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])

    def answered(self, stream):
        answer = self.answers.get(stream)
        return answer is not None and (answer.ended or answer.reset is not None)

    def request(self, stream, headers=None, message=b"", body=None):
        """The frames of a call."""
        block = self.encoder.encode(request_headers() if headers is None else headers)
        body = grpc_message(message) if body is None else body
        pieces = [body[i:i + 16384] for i in range(0, len(body), 16384)] or [b""]
        out = frame(HEADERS, END_HEADERS, stream, block)
        for i, piece in enumerate(pieces):
            out += frame(DATA, END_STREAM if i == len(pieces) - 1 else 0, stream, piece)
        return out

    def call(self, stream, *args, **kwargs):
        self.send(self.request(stream, *args, **kwargs))
        assert self.until(lambda: self.answered(stream)), f"no answer on stream {stream}"
        return self.answers[stream]


def check_alive(path):
    answer = Wire(path).start().call(1)
    assert answer.status() == OK, f"Status: {answer.headers}"
    return dict(fields(answer.message()))[3]


# --- replay


def cuts_of(way, data, requests):
    """Where to cut the rest of a recording, and the stream to wait for after each piece."""
    if way == "request by request":
        bounds = [r["offset"] for r in requests[1:]] + [len(data)]
        return [(b, r["stream"]) for b, r in zip(bounds, requests)]
    if way == "byte by byte":
        return [(i, None) for i in range(34, len(data) + 1)]
    if way == "as a whole":
        return [(len(data), None)]
    pick = random.Random(way)
    inner = sorted(pick.sample(range(34, len(data)), 40))
    return [(i, None) for i in inner + [len(data)]]


def check_opens(path, encrypted, plaintext):
    """What Encrypt answered opens on another connection, its fields in another order."""
    made = fields(encrypted)
    message = b"".join(field({1: 1, 2: 3, 3: 4}[n], v) for n, v in reversed(made))
    headers = request_headers("v2.KeyManagementService/Decrypt", hasleader="true")
    answer = Wire(path).start().call(1, headers, message + field(2, b"another-uid"))
    assert answer.status() == OK, answer.headers
    assert fields(answer.message()) == [(1, plaintext)], "another plaintext"


def check_opens_v1(path, encrypted, plaintext):
    message = field(1, b"v1beta1") + field(2, dict(fields(encrypted))[1])
    answer = Wire(path).start().call(
        1, request_headers("v1beta1.KeyManagementService/Decrypt"), message)
    assert answer.status() == OK, answer.headers
    assert fields(answer.message()) == [(1, plaintext)], "another plaintext"


def check_answer(path, request, answer, key_id):
    name, status = request["path"].rsplit("/", 1)[1], answer.status()
    assert answer.headers[":status"] == "200"
    assert answer.headers["content-type"] == "application/grpc"
    if name == "Decrypt":
        assert status not in (None, OK) and answer.data == b"", f"Decrypt: {answer.headers}"
        return
    assert status == OK, f"{name}: {answer.headers}"
    found = dict(fields(answer.message()))
    if request["path"].startswith("/v2."):
        assert found[{"Status": 3, "Encrypt": 2}[name]] == key_id, "another key_id"
    if request["path"].startswith("/v2.") and name == "Encrypt":
        check_opens(path, answer.message(), bytes.fromhex(request["message"]["plaintext"]))
    if request["path"].startswith("/v1beta1.") and name == "Encrypt":
        check_opens_v1(path, answer.message(), bytes.fromhex(request["message"]["plain"]))


def replay_once(path, data, requests, way, key_id):
    wire = Wire(path)
    wire.send(data[:33])
    assert wire.until(lambda: wire.settings), "no SETTINGS"
    at, body = 33, data[:-LAST_GOAWAY_BYTES]
    for cut, stream in cuts_of(way, body, requests):
        wire.send(body[at:cut])
        at = cut
        if stream is not None:
            wire.until(lambda s=stream: wire.answered(s), 2)
    # Where the client has reset the stream, an answer or none is right.
    expected = [r for r in requests if "reset" not in r]
    wire.until(lambda: all(wire.answered(r["stream"]) for r in expected))
    for request in expected:
        answer = wire.answers.get(request["stream"])
        assert answer is not None and answer.ended, f"{way}: no answer on {request['stream']}"
        check_answer(path, request, answer, key_id)
    assert wire.goaway is None and not wire.closed, f"{way}: the connection has ended"
    wire.send(data[-LAST_GOAWAY_BYTES:])
    wire.until(lambda: False, 5)
    assert wire.closed, f"{way}: still open after the client's GOAWAY"
    assert wire.goaway is None or wire.goaway[1] == 0, f"{way}: the GOAWAY was called an error"


def replay(path, name):
    with open(name, "rb") as f:
        data = f.read()
    with open(name.replace(".bin", ".json"), encoding="utf-8") as f:
        requests = json.load(f)["requests"]
    key_id = check_alive(path)
    ways = ["request by request", "as a whole", "byte by byte", "seed 1", "seed 2", "seed 3"]
    for way in ways:
        replay_once(path, data, requests, way, key_id)


# --- hostile


def expect(answer, status, http="200"):
    assert answer.status() == status and answer.headers[":status"] == http, \
        f"expected {status}, HTTP {http}: {answer.headers} reset {answer.reset}"


def fire(path, data, read=True):
    """Sends it all, whatever the server thinks of it, and reads what comes."""
    wire = Wire(path)
    try:
        wire.send(data)
        if read:
            wire.until(lambda: False, 1)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        wire.closed = True
    return wire


def hostile_garbage(path):
    pick = random.Random(7)
    for size in (1, 23, 24, 100, 5000, 200000):
        assert fire(path, pick.randbytes(size)).closed or size < 24
    assert fire(path, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").closed
    for _ in range(20):
        fire(path, PREFACE + frame(SETTINGS, 0, 0) + pick.randbytes(2000), read=False)


def hostile_truncated(path):
    pick = random.Random(8)
    for name in sorted(os.listdir(os.environ["RECORDINGS"])):
        if not name.endswith(".bin"):
            continue
        with open(os.path.join(os.environ["RECORDINGS"], name), "rb") as f:
            data = f.read()
        for _ in range(40):
            fire(path, data[:pick.randrange(len(data))], read=False)
        for _ in range(40):
            spoilt = bytearray(data)
            for _ in range(3):
                spoilt[pick.randrange(24, len(spoilt))] = pick.randrange(256)
            fire(path, bytes(spoilt), read=False)


def hostile_header_bomb(path):
    # 4 KB in the table, then one byte each to have it again.
    wire = Wire(path).start()
    block = wire.encoder.encode(request_headers()) + b"\x40" + b"\x01x" + b"\x7f\x81\x1e" + \
        b"v" * 3968 + b"\xbe" * 10000
    wire.send(frame(HEADERS, END_HEADERS, 1, block[:16384]))
    wire.until(lambda: wire.closed)
    assert wire.closed, "not closed after a header bomb"


def hostile_long_headers(path):
    wire = Wire(path).start()
    expect(wire.call(1, request_headers(x_long="v" * 15000, x_more="w" * 3000)), EXHAUSTED)
    expect(wire.call(3), OK)


def hostile_continuation_flood(path):
    wire = Wire(path).start()
    try:
        wire.send(frame(HEADERS, 0, 1, wire.encoder.encode(request_headers())))
        for _ in range(20000):
            wire.send(frame(CONTINUATION, 0, 1))
    except (BrokenPipeError, ConnectionResetError):
        return
    wire.until(lambda: wire.closed)
    assert wire.closed, "not closed after a flood of CONTINUATION"


def hostile_rapid_reset(path):
    wire = Wire(path).start()
    try:
        for i in range(20000):
            wire.send(wire.request(2 * i + 1) + frame(RST, 0, 2 * i + 1, struct.pack(">I", 8)))
            if i % 500 == 0:
                wire.until(lambda: False, 0.001)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        return
    wire.until(lambda: wire.closed)
    assert wire.closed, "not closed after a flood of RST_STREAM"


def hostile_floods(path):
    for flood in (frame(PING, 0, 0, b"8 octets"), frame(SETTINGS, 0, 0),
                  frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff" * 40),
                  frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)),
                  frame(2, 0, 1, b"\x00\x00\x00\x00\x10"), frame(99, 0, 0, b"unknown")):
        fire(path, PREFACE + frame(SETTINGS, 0, 0) + flood * 5000, read=False)


def hostile_slow_loris(path):
    wires = []
    for i in range(70):
        try:
            wires.append(Wire(path))
            wires[-1].send(PREFACE[:1 + i % 24])
        except (BrokenPipeError, ConnectionResetError):
            pass
    time.sleep(1.2)
    check_alive(path)
    # A request that never ends is given up, the connection is not.
    wire = Wire(path).start()
    wire.send(frame(HEADERS, END_HEADERS, 1, wire.encoder.encode(request_headers())))
    for _ in range(12):
        wire.send(frame(DATA, 0, 1, b"\x00" if _ == 0 else b""))
        wire.until(lambda: wire.answered(1), 1)
    assert wire.answers[1].reset is not None, "waited for ever"
    expect(wire.call(3), OK)


def hostile_half_open(path):
    wire = Wire(path).start()
    wire.send(wire.request(1))
    wire.socket.shutdown(socket.SHUT_WR)
    wire.until(lambda: False, 5)
    expect(wire.answers[1], OK)
    assert wire.closed, "still open after the client's end"
    wire = Wire(path).start()
    wire.send(wire.request(1)[:-3])
    wire.socket.shutdown(socket.SHUT_WR)
    wire.until(lambda: False, 5)
    assert wire.closed, "waits for a request that cannot come"
    for _ in range(200):
        Wire(path).start().socket.close()


def hostile_never_reads(path):
    wires = []
    for _ in range(8):
        wire = Wire(path).start()
        wire.socket.settimeout(0.5)
        try:
            for i in range(20000):
                wire.send(wire.request(2 * i + 1))
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        wires.append(wire)
    check_alive(path)


def hostile_streams(path):
    wire = Wire(path).start()
    wire.send(b"".join(frame(HEADERS, END_HEADERS, 2 * i + 1, wire.encoder.encode(request_headers()))
                       for i in range(150)))
    wire.until(lambda: wire.closed or wire.answered(299))
    assert wire.closed or wire.answers[299].reset == 7, "150 streams at once"
    wire = Wire(path).start()
    wire.send(b"".join(wire.request(2 * i + 1) for i in range(100)))
    wire.until(lambda: all(wire.answered(2 * i + 1) for i in range(100)))
    for i in range(100):
        expect(wire.answers[2 * i + 1], OK)


def hostile_messages(path):
    wire = Wire(path).start()
    stream = iter(range(1, 1000, 2))
    expect(wire.call(next(stream), message=b"\0" * (1 << 20)), EXHAUSTED)
    expect(wire.call(next(stream), body=b""), INTERNAL)
    expect(wire.call(next(stream), body=b"\0\0\0"), INTERNAL)
    expect(wire.call(next(stream), body=b"\0\0\0\0\5abc"), INTERNAL)
    expect(wire.call(next(stream), body=grpc_message(b"") * 2), INTERNAL)
    expect(wire.call(next(stream), body=grpc_message(b"", flag=1)), UNIMPLEMENTED)
    expect(wire.call(next(stream), body=grpc_message(b"", flag=77)), INTERNAL)
    expect(wire.call(next(stream), body=b"\0\xff\xff\xff\xff"), EXHAUSTED)
    expect(wire.call(next(stream)), OK)


def hostile_protobuf(path):
    wire = Wire(path).start()
    stream = iter(range(1, 1000, 2))

    def ask(method, message):
        return wire.call(next(stream), request_headers("v2.KeyManagementService/" + method), message)
    unknown = field(99, b"later") + b"\xf8\x06\x01" + b"\xfd\x06abcd" + b"\xf9\x06abcdefgh"
    expect(ask("Status", unknown), OK)
    good = ask("Encrypt", field(1, b"first") + unknown + field(1, b"last") + field(2, b"uid"))
    expect(good, OK)
    check_opens(path, good.message(), b"last")
    decrypt = b"".join(field({1: 1, 2: 3, 3: 4}[n], v) for n, v in fields(good.message()))
    for bad in (field(2, b"\xff\xfe"), field(2, b"\xed\xa0\x80"), field(2, b"\xc0\x80"),
                field(2, b"a\0b"), field(2, b"u" * 5000), field(1, b"x")[:-1], b"\x08\x01",
                b"\x0a\xff\xff\xff\xff\x0f", b"\x0f", b"\xff" * 20):
        expect(ask("Encrypt", field(1, b"x") + bad), INVALID)
        expect(ask("Decrypt", decrypt + bad), INVALID)
    expect(ask("Encrypt", field(2, b"nothing to encrypt")), INVALID)
    expect(ask("Encrypt", b""), INVALID)
    entry = field(4, field(1, b"a.b") + field(2, b"v"))
    many = b"".join(field(4, field(1, b"a%d.example" % i)) for i in range(3000))
    for bad in (many, field(4, field(1, b"a.b") + field(2, b"v" * 33000)), field(1, b"c" * 1025),
                field(3, b"k" * 2000), field(3, b"another"), field(4, b"\xff"), entry):
        assert ask("Decrypt", decrypt + bad).status() not in (None, OK)
    expect(ask("Decrypt", decrypt * 2), OK)
    expect(ask("Encrypt", b"\x98\x06\x01" * 20000), INVALID)
    expect(ask("Status", b""), OK)


def hostile_requests(path):
    wire = Wire(path).start()
    stream = iter(range(1, 1000, 2))

    def ask(*args, **changes):
        return wire.call(next(stream), request_headers(*args, **changes))
    for authority in ("/var/run/kmsplugin/kms.sock", "%2Fvar%2Frun%2Fkms.sock", "", None, "[::1]:1"):
        expect(ask(__authority=authority), OK)
    expect(ask(te=None, grpc_timeout=None, content_type="application/grpc+proto"), OK)
    expect(ask(hasleader="true", grpc_accept_encoding="gzip", x_bin="AAA"), OK)
    expect(ask("v2.KeyManagementService/Nothing"), UNIMPLEMENTED)
    expect(ask("v3.KeyManagementService/Status"), UNIMPLEMENTED)
    expect(ask(""), UNIMPLEMENTED)
    expect(ask(grpc_encoding="gzip"), UNIMPLEMENTED)
    expect(ask(content_type="text/html"), INTERNAL, "415")
    expect(ask(content_type="application/grpcx"), INTERNAL, "415")
    expect(ask(content_type=None), INTERNAL, "415")
    expect(ask(__method="GET"), INTERNAL, "405")
    for timeout in ("", "1", "u", "123456789u", "-1u", "1x", "1.5S", " 1S"):
        expect(ask(grpc_timeout=timeout), INVALID)
    expect(ask("v2.KeyManagementService/Encrypt", grpc_timeout="1n"), "4")
    expect(ask(grpc_timeout="99999999H"), OK)
    good = request_headers()
    for bad in (good + [("Upper", "x")], good + [(":path", "/x")], good[:3] + good[4:] + [good[3]],
                [h for h in good if h[0] != ":path"], [h for h in good if h[0] != ":scheme"],
                good + [("te", "gzip")], good + [("connection", "close")], good + [("a b", "c")],
                [(":status", "200")] + good, good + [("x", "a\nb")], good + [("grpc-timeout", "1S")]):
        assert wire.call(next(stream), bad).reset == 1, f"not reset: {bad}"
    expect(ask(), OK)


def drain(path, pid):
    """SIGTERM with a call half sent: both GOAWAYs, the answer, the end, in bounded time."""
    wire, idle = Wire(path).start(), Wire(path).start()
    request = wire.request(1)
    data_frame = 14
    wire.send(request[:-data_frame])
    expect(wire.call(3), OK)
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    assert wire.until(lambda: wire.goaway is not None, 3), "no GOAWAY"
    assert wire.goaway == (0x7fffffff, 0), wire.goaway
    # A call that crosses the notice is still served.
    expect(wire.call(5), OK)
    assert wire.until(lambda: wire.goaway[0] != 0x7fffffff, 3), "no second GOAWAY"
    assert wire.goaway == (5, 0), wire.goaway
    assert idle.until(lambda: False, 3) or idle.closed, "an idle client is kept"
    wire.send(request[-data_frame:])
    wire.until(lambda: False, 5)
    expect(wire.answers[1], OK)
    assert wire.closed and time.monotonic() - began < 6, "not closed in time"


CASES = {name[len("hostile_"):].replace("_", "-"): function
         for name, function in sorted(globals().items()) if name.startswith("hostile_")}


def main():
    if sys.argv[1] == "cases":
        print("\n".join(CASES))
    elif sys.argv[1] == "replay":
        replay(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "hostile":
        CASES[sys.argv[3]](sys.argv[2])
    elif sys.argv[1] == "drain":
        drain(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "status":
        print(check_alive(sys.argv[2]).decode())


if __name__ == "__main__":
    main()
