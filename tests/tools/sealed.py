#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes sealed files and TSS2 key files apart, for the tests; none of kubetpm's own code is involved.

sealed.py get FILE EXPRESSION		j: the document, h: its protected header, slot(n): DER of a slot
sealed.py edit FILE STATEMENTS		changes j and h (and slots with set_slot(n, der)), prints the result
sealed.py split KEYFILE PUB PRIV	the two areas of a TSS2 key file's object, and its parent on stdout
sealed.py fake-parent FILE KEY.pub	the storage key of recipient 0 replaced, consistently, by another
"""
import base64
import hashlib
import json
import sys


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def elements(der):
    """(tag, content) of each element of DER."""
    found = []
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at:at + size], "big")
            at += size
        found.append((tag, der[at:at + length]))
        at += length
    return found


def name_of(public):
    """Name of a TPM2B_PUBLIC with nameAlg SHA-256 (TPM 2.0 Part 1, 16)."""
    return b"\x00\x0b" + hashlib.sha256(public[2:]).digest()


class File:
    def __init__(self, path):
        self.document = json.loads(read(path))
        self.header = json.loads(decode(self.document["protected"]))
        self.before = json.dumps(self.header)

    def slot(self, n):
        return decode(self.document["recipients"][n]["encrypted_key"])

    def set_slot(self, n, der):
        self.document["recipients"][n]["encrypted_key"] = encode(bytes(der))

    def names(self):
        return {"j": self.document, "h": self.header, "slot": self.slot,
                "set_slot": self.set_slot, "read": read, "File": File, "encode": encode,
                "decode": decode, "json": json}

    def print(self):
        if json.dumps(self.header) != self.before:
            self.document["protected"] = encode(json.dumps(self.header).encode())
        print(json.dumps(self.document))


def main():
    verb, path = sys.argv[1:3]
    if verb == "get":
        value = eval(sys.argv[3], File(path).names())
        print(value if isinstance(value, str) else json.dumps(value))
    elif verb == "edit":
        file = File(path)
        exec(sys.argv[3], file.names())
        file.print()
    elif verb == "fake-parent":
        file = File(path)
        public = read(sys.argv[3])
        file.header["recipients"][0]["public"] = encode(public)
        file.document["recipients"][0]["header"]["parent"] = name_of(public).hex()
        file.print()
    elif verb == "split":
        text = read(path)
        if b"-----BEGIN" in text:
            lines = text.decode().split("-----")[2]
            text = base64.b64decode("".join(lines.split()))
        parts = elements(elements(text)[0][1])
        public, private = parts[-2][1], parts[-1][1]
        with open(sys.argv[3], "wb") as f:
            f.write(public)
        with open(sys.argv[4], "wb") as f:
            f.write(private)
        print("0x%x" % (int.from_bytes(parts[-3][1], "big") & 0xFFFFFFFF))
    else:
        sys.exit(2)


if __name__ == "__main__":
    main()
