#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tpm-raw.py SOCKET KEYFILE WHAT [HEX]: what an attacker with root does with a kubetpm key, in TPM commands of his own
on swtpm's socket: loads the key, satisfies its policy (the PCRs of sha256:7 as they are, if it has a PCR step), and

	hmac HEX	TPM2_HMAC: prints the HMAC
	sign HEX	TPM2_Sign of a digest: prints r and s
	sequence HEX	TPM2_HMAC_Start, the detour that no TPM2_HMAC shows of
	password HEX	TPM2_HMAC with a password instead of the policy

and with a key whose uses are counted (tier B), for which hmac and sign run TPM2_PolicySecret on the counter:

	uncounted HEX	TPM2_HMAC without it
	ticket HEX	TPM2_HMAC with TPM2_PolicyTicket, after a TPM2_PolicySecret that asked for a ticket
	again HEX	TPM2_HMAC twice in one session, for one TPM2_PolicySecret
	count HEX	TPM2_PolicySecret alone

Ends with 3 and prints the response code if the TPM refuses.
"""
import base64
import re
import socket
import struct
import sys

HMAC, SIGN, HMAC_START = 0x155, 0x15d, 0x15b
COUNTER = 0x01800100


class Refused(Exception):
    pass


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def two_b(data):
    return u16(len(data)) + data


class Tpm:
    def __init__(self, path):
        self.path = path

    def send(self, code, body, sessions=False):
        data = u16(0x8002 if sessions else 0x8001) + u32(10 + len(body)) + u32(code) + body
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.sendall(data)
            answer = b""
            while len(answer) < 10 or len(answer) < int.from_bytes(answer[2:6], "big"):
                answer += s.recv(65536)
        rc = int.from_bytes(answer[6:10], "big")
        if rc:
            raise Refused("0x%03x" % rc)
        return answer[10:]

    def authorised(self, code, handle, session, parameters):
        auth = u32(session) + u16(0) + b"\1" + u16(0)
        return self.send(code, u32(handle) + u32(len(auth)) + auth + parameters, True)[4:]


def elements(der):
    """Of a SEQUENCE: (tag, content)."""
    at, found = 0, []
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            n = length & 0x7f
            length = int.from_bytes(der[at:at + n], "big")
            at += n
        found.append((tag, der[at:at + length]))
        at += length
    return found


def read_key(path):
    text = open(path, encoding="ascii").read()
    block = re.search(r"-----BEGIN TSS2 PRIVATE KEY-----\n(.*?)-----END", text, re.S)[1]
    whole = elements(elements(base64.b64decode(block))[0][1])
    public, private = [content for tag, content in whole if tag == 4]
    return public, private, "PCRs:" in text, "\nAudit-Tier: b" in text


def count(tpm, session, expiration=0):
    """TPM2_PolicySecret on the counter: timeout and ticket."""
    auth = u32(0x40000009) + u16(0) + b"\1" + u16(0)
    answer = tpm.send(0x151, u32(COUNTER) + u32(session) + u32(len(auth)) + auth + u16(0) * 3 +
                      (expiration & 0xffffffff).to_bytes(4, "big"), True)[4:]
    timeout = 2 + int.from_bytes(answer[:2], "big")
    ticket = timeout + 8 + int.from_bytes(answer[timeout + 6:timeout + 8], "big")
    return answer[:timeout], answer[timeout:ticket]


def counter_name(tpm):
    answer = tpm.send(0x169, u32(COUNTER))
    return answer[2 + int.from_bytes(answer[:2], "big"):]


def run_again(tpm, command, has_pcrs):
    """A session that was counted once, in another way than by TPM2_PolicySecret."""
    first = policy_session(tpm, command, has_pcrs)
    timeout, ticket = count(tpm, first, -0x7fffffff)
    tpm.send(0x165, u32(first))
    session = policy_session(tpm, command, has_pcrs)
    try:
        tpm.send(0x152, u32(session) + timeout + u16(0) * 2 + counter_name(tpm) + ticket)
    except Refused:
        tpm.send(0x165, u32(session))
        raise
    return session


def policy_session(tpm, command, has_pcrs):
    session = int.from_bytes(tpm.send(0x176, u32(0x40000007) * 2 + two_b(bytes(16)) + u16(0) + b"\1" + u16(0x10) +
                                      u16(0xb))[:4], "big")
    if has_pcrs:
        tpm.send(0x17f, u32(session) + u16(0) + u32(1) + u16(0xb) + bytes([3, 0x80, 0, 0]))
    tpm.send(0x16c, u32(session) + u32(command))
    return session


def use(tpm, key, what, data, has_pcrs, is_counted):
    if what == "password":
        return tpm.authorised(HMAC, key, 0x40000009, two_b(data) + u16(0x10))
    own = SIGN if what == "sign" and len(data) == 32 else HMAC
    session = run_again(tpm, own, has_pcrs) if what == "ticket" else policy_session(tpm, own, has_pcrs)
    try:
        if is_counted and what not in ("uncounted", "ticket"):
            count(tpm, session)
        if what == "count":
            return b""
        if what == "again":
            tpm.authorised(HMAC, key, session, two_b(data) + u16(0x10))
        if what == "sequence":
            return tpm.authorised(HMAC_START, key, session, u16(0) + u16(0x10))
        if what != "sign":
            return tpm.authorised(HMAC, key, session, two_b(data) + u16(0x10))[2:34]
        answer = tpm.authorised(SIGN, key, session, two_b(data) + u16(0x10) + u16(0x8024) + u32(0x40000007) + u16(0))
        return answer[6:38] + answer[40:72]
    finally:
        tpm.send(0x165, u32(session))


def main():
    path, keyfile, what, data = sys.argv[1:5]
    tpm = Tpm(path)
    public, private, has_pcrs, is_counted = read_key(keyfile)
    load = u32(0x81000001) + u32(9) + u32(0x40000009) + bytes(5) + private + public
    key = int.from_bytes(tpm.send(0x157, load, True)[:4], "big")
    try:
        print(use(tpm, key, what, bytes.fromhex(data), has_pcrs, is_counted).hex())
    except Refused as e:
        print(e)
        return 3
    finally:
        tpm.send(0x165, u32(key))
    return 0


if __name__ == "__main__":
    sys.exit(main())
