#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scrape.py SOCKET [SERIES] | --file FILE [SERIES]: reads figures in Prometheus' text format 0.0.4 from a unix
socket, or a file, and is strict about it: every series under a TYPE of its own, no series twice, buckets that
add up. Prints all of it, or one value."""
import re
import socket
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(r"(%s)(\{%s(?:,%s)*\})? (-?[0-9]+(?:\.[0-9]+)?)" % (NAME, LABEL, LABEL))


def fetch(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("ascii").split("\r\n")
    if lines[0] != "HTTP/1.1 200 OK":
        sys.exit(lines[0])
    fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    if int(fields["content-length"]) != len(body):
        sys.exit("Content-Length is wrong")
    if fields["content-type"] != "text/plain; version=0.0.4; charset=utf-8":
        sys.exit("Content-Type: " + fields["content-type"])
    return body.decode("utf-8")


def family_of(name, types):
    for suffix in ("_bucket", "_sum", "_count"):
        base = name[: -len(suffix)]
        if name.endswith(suffix) and types.get(base) == "histogram":
            return base
    return name


def check_histogram(name, values):
    buckets = [(s, v) for s, v in values.items() if s.startswith(name + "_bucket{")]
    bounds = [re.search(r'le="([^"]*)"', s).group(1) for s, _ in buckets]
    counts = [float(v) for _, v in buckets]
    numbers = [float(b) for b in bounds]
    if numbers != sorted(set(numbers)) or bounds[-1] != "+Inf" or counts != sorted(counts):
        sys.exit("%s: buckets out of order" % name)
    if counts[-1] != float(values[name + "_count"]) or name + "_sum" not in values:
        sys.exit("%s: does not add up" % name)


def parse(text):
    types, helps, values, current = {}, set(), {}, None
    if not text.endswith("\n"):
        sys.exit("no newline at the end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            if name in helps or not line.split(" ", 3)[3]:
                sys.exit("HELP: " + line)
            helps.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            if name in types or kind not in ("counter", "gauge", "histogram"):
                sys.exit("TYPE: " + line)
            types[name] = kind
            current = name
        else:
            match = SAMPLE.fullmatch(line)
            if not match or family_of(match.group(1), types) != current or current not in helps:
                sys.exit("not a sample of %s: %s" % (current, line))
            series = match.group(1) + (match.group(2) or "")
            if series in values:
                sys.exit("twice: " + series)
            values[series] = match.group(3)
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(name, values)
        elif kind == "counter" and not name.endswith("_total"):
            sys.exit("a counter's name ends in _total: " + name)
    return values


def main():
    args = sys.argv[1:]
    if args[0] == "--file":
        with open(args[1], encoding="utf-8") as f:
            text = f.read()
        args = args[1:]
    else:
        text = fetch(args[0])
    values = parse(text)
    if len(args) == 1:
        print(text, end="")
    elif args[1] in values:
        print(values[args[1]])
    else:
        sys.exit("no series " + args[1])


main()
