#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd-value.py KIND PATH SEED REPLY: what kube-apiserver would keep in etcd under PATH of the resource on
standard input. KIND is v2 (seed, as since Kubernetes 1.29), v2-key (one key for the data) or v1; SEED, in hex,
is what it had encrypted, and REPLY a file with the answer: JSON of kms-shim --stdio's Encrypt, or, for v1, the
ciphertext itself. GCM_SEAL names the program of that name."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys

kind, path, seed, reply = sys.argv[1:]


def seal(key, data):
    return subprocess.run([os.environ["GCM_SEAL"], key.hex(), path], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def main():
    source, plaintext = bytes.fromhex(seed), sys.stdin.buffer.read()
    out = sys.stdout.buffer
    if kind == "v1":
        with open(reply, "rb") as f:
            cipher = f.read()
        out.write(b"k8s:enc:kms:v1:kubetpm:" + len(cipher).to_bytes(2, "big") + cipher)
        out.write(seal(source, plaintext))
        return
    with open(reply, encoding="utf-8") as f:
        answer = json.load(f)
    data, source_type = seal(source, plaintext), 0
    if kind == "v2":
        # HKDF-Expand of one block (RFC 5869, 2.3)
        info = os.urandom(32)
        key = hmac.new(source, info + b"\x01", hashlib.sha256).digest()
        data, source_type = info + seal(key, plaintext), 1
    message = field(1, data) + field(2, answer["keyId"].encode())
    message += field(3, base64.b64decode(answer["ciphertext"]))
    for name, value in answer["annotations"].items():
        message += field(4, field(1, name.encode()) + field(2, base64.b64decode(value)))
    if source_type:
        message += varint(5 << 3) + varint(source_type)
    out.write(b"k8s:enc:kms:v2:kubetpm:" + message)


main()
