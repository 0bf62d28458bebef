#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tpm-stale.py SOCKET read | SOCKET attest SESSION LOG NONCE: what an attacker with root does against a log of tier B:
reads the use counter in an audit session of his own, and lets it be attested after he has used keys.

	read		prints the session's handle; it stays in the TPM
	attest		appends a checkpoint with NONCE to LOG (file 0), for which the TPM attests that session
"""
import hashlib
import json
import re
import sys
import time

from importlib.machinery import SourceFileLoader
from os.path import dirname

sys.dont_write_bytecode = True
raw = SourceFileLoader("raw", dirname(__file__) + "/tpm-raw.py").load_module()
u16, u32, two_b = raw.u16, raw.u32, raw.two_b
AK, ENDORSEMENT, NV_READ, OR, ATTEST = 0x81010100, 0x4000000b, 0x14e, 0x171, 0x14d
ZEROS = bytes(32)


def h(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def password(handle=0x40000009, attributes=1):
    return u32(handle) + u16(0) + bytes([attributes]) + u16(0)


def start(tpm, kind):
    return int.from_bytes(tpm.send(0x176, u32(0x40000007) * 2 + two_b(bytes(16)) + u16(0) + bytes([kind]) + u16(0x10) +
                                   u16(0xb))[:4], "big")


def read(tpm):
    audit, policy = start(tpm, 0), start(tpm, 1)
    tpm.send(0x16c, u32(policy) + u32(NV_READ))
    branches = h(ZEROS, u32(0x18f), b"\0"), h(ZEROS, u32(0x16c), u32(NV_READ))
    tpm.send(OR, u32(policy) + u32(2) + b"".join(two_b(b) for b in branches))
    auths = u32(policy) + two_b(bytes(16)) + b"\0" + u16(0) + u32(audit) + two_b(bytes(16)) + \
        bytes([0x80 | 0x04 | 0x01]) + u16(0)
    answer = tpm.send(NV_READ, u32(raw.COUNTER) * 2 + u32(len(auths)) + auths + u16(8) + u16(0), True)
    return audit, int.from_bytes(answer[6:10], "big")


def append(tpm, session, log, nonce):
    head = ZEROS
    with open(log, encoding="ascii") as f:
        lines = f.read().splitlines()
    stamp, results = int(time.time() * 1000), sum(line.startswith('{"t":"O"') for line in lines)
    lines.append(json.dumps({"t": "I", "n": results, "ts": stamp, "op": "C"}, separators=(",", ":")))
    for line in lines:
        head = h(head, line.encode())
    uses = int(re.findall(r'"uses":(\d+)', "\n".join(lines))[-1])
    auths = password() * 2
    answer = tpm.send(ATTEST, u32(ENDORSEMENT) + u32(AK) + u32(session) + u32(len(auths)) + auths +
                      two_b(h(nonce.encode(), head)) + u16(0x10), True)[4:]
    size = int.from_bytes(answer[:2], "big")
    attest, rest = answer[2:2 + size], answer[2 + size + 4:]
    r_size = int.from_bytes(rest[:2], "big")
    r, rest = rest[2:2 + r_size], rest[2 + r_size:]
    s = rest[2:2 + int.from_bytes(rest[:2], "big")]
    lines.append(json.dumps({"t": "C", "n": results, "ts": stamp, "nonce": nonce, "head": head.hex(), "uses": uses,
                             "att": attest.hex(), "sig": (r.rjust(32, b"\0") + s.rjust(32, b"\0")).hex()},
                            separators=(",", ":")))
    with open(log, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


def main():
    tpm = raw.Tpm(sys.argv[1])
    if sys.argv[2] == "read":
        print("%d %d" % read(tpm))
    else:
        append(tpm, int(sys.argv[3]), sys.argv[4], sys.argv[5])


main()
