#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""audit-verify.py --ak AK.pub [--key-name HEX]... [--nonce TEXT] [--tier a|b|c] LOG...: a second opinion on audit logs.

Written from kubetpm-formats(5), not from audit-verify's sources, and in another way: one process, one line after the
other, hashlib and the openssl command. Prints a verdict as JSON; ends with 0 if the log is complete, 5 if it is
malformed, 10 if it is another TPM's, 14 if it does not verify, 13 if it is only cut off.
"""
import argparse
import gzip
import hashlib
import json
import re
import struct
import subprocess
import sys
import tempfile

HMAC, SIGN, SET, NV_READ, POLICY_SECRET, STIR = 0x155, 0x15d, 0x140, 0x14e, 0x151, 0x146
TEXT = r"((?:[!#$&-\[\]-~]|%[0-9A-F]{2})*)"
N = r"(0|[1-9][0-9]*)"
H64, H128, HX = r"([0-9a-f]{64})", r"([0-9a-f]{128})", r"((?:[0-9a-f]{2})*)"
STEPS = r'((?:\["[0-9a-f]{8}","(?:[0-9a-f]{2})*"\],?)+)'
FORMS = {k: re.compile(v) for k, v in {
    "G": f'{{"t":"G","v":1,"seq":{N},"prev":"{H64}","n":{N},"ts":{N},"tier":"(A|B|C)","ak":"{H128}","counter":{N},'
         f'"reset":{N},"restart":{N},"clock":{N},"max":{N},"age":{N}}}',
    "A": f'{{"t":"A","raw":"{HX}"}}',
    "K": f'{{"t":"K","k":{N},"ts":{N},"type":"(hmac|p256)","pub":"{HX}","policy":\\[{STEPS}\\],"att":"{HX}",'
         f'"sig":"{H128}","cluster":"{TEXT}","key_id":"{TEXT}"}}',
    "B": f'{{"t":"B","ts":{N},"reset":{N},"restart":{N}}}',
    "E": f'{{"t":"I","n":{N},"ts":{N},"op":"E","k":{N},"uid":"{TEXT}","id":"{H64}","rnd":"{H64}"}}',
    "D": f'{{"t":"I","n":{N},"ts":{N},"op":"D","k":{N},"uid":"{TEXT}","id":"{H64}"}}',
    "R": f'{{"t":"I","n":{N},"ts":{N},"op":"R"}}',
    "S": f'{{"t":"I","n":{N},"ts":{N},"op":"S","k":{N},"tbs":"{HX}"}}',
    "P": f'{{"t":"I","n":{N},"ts":{N},"op":"C"}}',
    "O": f'{{"t":"O","n":{N},"rp":"{H64}"}}',
    "Q": f'{{"t":"O","n":{N},"sig":"{H128}"}}',
    "X": f'{{"t":"X","ts":{N},"why":"(not-executed|lost|taken)","count":{N}}}',
    "C": f'{{"t":"C","n":{N},"ts":{N},"nonce":"{TEXT}","head":"{H64}",(?:"uses":{N},)?"att":"{HX}",'
         f'"sig":"{H128}"}}',
}.items()}
ZEROS = bytes(32)


class Malformed(Exception):
    pass


def h(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def lp(data):
    return u32(len(data)) + data


def two_b(data):
    return u16(len(data)) + data


def unescape(text):
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes.fromhex(m[1].decode()), text.encode())


class Reader:
    """A TPM structure, from its start to exactly its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Malformed("a TPM structure is cut off")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def two_b(self):
        return self.take(self.number(2))

    def end(self):
        if self.at != len(self.data):
            raise Malformed("a TPM structure has something behind it")


def attestation(data, kind):
    r = Reader(data)
    a = {"magic": r.number(4), "type": r.number(2), "signer": r.two_b(), "extra": r.two_b(), "clock": r.number(8),
         "reset": r.number(4), "restart": r.number(4), "safe": r.number(1)}
    r.number(8)
    if kind == 0x8016:
        a.update(exclusive=r.number(1), digest=r.two_b())
    elif kind == 0x8015:
        a.update(counter=r.number(8), alg=r.number(2), digest=r.two_b(), commands=r.two_b())
    else:
        a.update(name=r.two_b(), creation=r.two_b())
    r.end()
    if a["magic"] != 0xff544347 or a["type"] != kind or a["safe"] > 1 or a.get("exclusive", 0) > 1:
        raise Malformed("not the attestation that it should be")
    return a


def der_number(number):
    body = number.lstrip(b"\0") or b"\0"
    body = (b"\0" if body[0] & 0x80 else b"") + body
    return b"\2" + bytes([len(body)]) + body


def is_sequence(der):
    if len(der) < 2 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    n = der[1] & 0x7f
    length = der[2:2 + n]
    return 0 < n <= 3 and len(length) == n and length[0] != 0 and int.from_bytes(length, "big") > 0x7f \
        and len(der) == 2 + n + int.from_bytes(length, "big")


def is_certificate(tbs):
    """One whole TBSCertificate: with any signature it makes a certificate."""
    if not is_sequence(tbs) or len(tbs) > 16384:
        return False
    body = tbs + bytes.fromhex("300a06082a8648ce3d040302" "0309003006020101020101")
    der = b"\x30\x82" + u16(len(body)) + body
    return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout"], input=der, capture_output=True,
                          check=False).returncode == 0


class AttestationKey:
    def __init__(self, path):
        self.path = path
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", path, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.point = der[-64:]
        public = bytes.fromhex("0023000b0005047200000010001" "8000b00030010") + two_b(self.point[:32]) + \
            two_b(self.point[32:])
        self.name = b"\0\x0b" + h(public)
        self.qualified = b"\0\x0b" + h(u32(0x4000000b), self.name)

    def signed(self, data, signature):
        body = der_number(signature[:32]) + der_number(signature[32:])
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"\x30" + bytes([len(body)]) + body)
            f.flush()
            return subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.path, "-signature", f.name],
                                  input=data, capture_output=True, check=False).returncode == 0


def counter_name():
    """The NV index that counts uses: PIN Pass, authorised by itself, begun once."""
    write = h(ZEROS, u32(0x18f), b"\0")
    read = h(ZEROS, u32(0x16c), u32(NV_READ))
    policy = h(ZEROS, u32(0x171), write, read)
    public = u32(0x01800100) + u16(0xb) + u32(0x22080098) + two_b(policy) + u16(8)
    return b"\0\x0b" + h(public)


def policy_digest(steps):
    p = ZEROS
    for code, argument in steps:
        if code == 0x17f:
            r = Reader(argument)
            for _ in range(r.number(4)):
                r.number(2)
                r.take(r.number(1))
            r.take(32)
            r.end()
            p = h(p, u32(code), argument)
        elif code == 0x171 and len(argument) in range(64, 257, 32):
            p = h(ZEROS, u32(code), argument)
        elif code == 0x16a and len(argument) >= 34:
            p = h(h(ZEROS, u32(code), argument[:34]), argument[34:])
        elif code == 0x16c and len(argument) == 4:
            p = h(p, u32(code), argument)
        elif code == POLICY_SECRET and argument == counter_name():
            p = h(h(p, u32(code), argument))
        else:
            raise Malformed("a policy step that is not known")
    return p


def key_is_good(kind, public, steps, tier):
    """May it be believed that the key stays in the TPM, and is for the audited command only?"""
    try:
        r = Reader(public)
        head = (r.number(2), r.number(2))
        attributes, policy = r.number(4), r.two_b()
        rest = bytes.fromhex("0005000b") if kind == "hmac" else bytes.fromhex("00100018000b00030010")
        if head != ((8 if kind == "hmac" else 0x23), 0xb) or r.take(len(rest)) != rest:
            return False
        for _ in range(1 if kind == "hmac" else 2):
            r.two_b()
        r.end()
        command = HMAC if kind == "hmac" else SIGN
        return attributes & 0x400b2 == 0x400b2 and attributes & 0x30840 == 0 and len(policy) == 32 and \
            policy_digest(steps) == policy and \
            (steps[-2:] == [(0x16c, u32(command)), (POLICY_SECRET, counter_name())] if tier == "B" else
             steps[-1] == (0x16c, u32(command)))
    except Malformed:
        return False


class Log:
    def __init__(self, ak, pins):
        self.ak, self.pins, self.seen_pins = ak, pins, set()
        self.findings = []
        self.counts = dict(encryptions=0, decryptions=0, redone=0, certificates=0, checkpoints=0)
        self.place = ("", 0)
        self.head, self.results, self.first, self.last, self.seq = None, 0, None, None, None
        self.keys, self.nonce, self.any_checkpoint = [], None, False
        self.waiting, self.tier = [], None
        self.new_epoch()

    def new_epoch(self):
        self.digest, self.unknown, self.unattested, self.lines, self.taken = None, False, 0, 0, 0
        self.boot, self.window, self.cleared, self.boot_waiting = None, False, False, 0
        self.after_head, self.orphans, self.lost = False, 0, 0

    def found(self, what, text):
        self.findings.append({"id": what, "file": self.place[0], "line": self.place[1], "text": text})

    def extend(self, cp, rp):
        self.digest = h(self.digest or ZEROS, cp, rp)

    def line(self, text, first_in_file):
        before = self.head
        for kind, form in FORMS.items():
            m = form.fullmatch(text)
            if m:
                break
        else:
            raise Malformed("not a line of an audit log")
        if any(len(g) > 18 and re.fullmatch(N, g) and int(g) >= 1 << 63 for g in m.groups() if g) or \
                len(text) >= 65536 or first_in_file != (kind == "G"):
            raise Malformed("a line that cannot stand here")
        if kind != "G":
            self.head = h(self.head, text.encode())
        if kind not in "GA":
            self.after_head = False
        getattr(self, "line_" + kind)(before, *m.groups())
        if kind == "G":
            self.head = h(self.head, text.encode())
        if kind != "C":
            self.lines += 1

    def line_G(self, _, seq, prev, n, ts, tier, ak, counter, reset, restart, clock, size, age):
        seq, n, prev = int(seq), int(n), bytes.fromhex(prev)
        last = dict(counter=int(counter), reset=int(reset), restart=int(restart), clock=int(clock))
        if self.tier not in (None, tier):
            raise Malformed("a file of another tier")
        self.tier = tier
        if self.head is None:
            if seq == 0 and (n or prev != ZEROS):
                raise Malformed("file 0 has something before it")
            self.head, self.results, self.first, self.last = prev, n, n, last
        elif (seq, prev, n, last) != (self.seq + 1, self.head, self.results, self.last):
            self.found("rotation", "does not continue the file before")
            self.new_epoch()
            self.head, self.results, self.last, self.waiting = prev, n, last, []
        elif self.lines or self.waiting:
            self.found("rotation", "the file before does not end with a checkpoint")
        if bytes.fromhex(ak) != self.ak.point:
            self.found("wrong-tpm", "another attestation key")
        self.seq, self.keys, self.after_head = seq, [], True

    def line_A(self, _, raw):
        raw = bytes.fromhex(raw)
        if self.tier != "A" or not self.after_head or self.seq != 0 or self.digest or len(raw) > 256:
            raise Malformed("A does not begin a log")
        r = Reader(raw)
        begins = (r.number(2), r.number(4), r.number(4), r.number(4)) == (0x10, 2, HMAC, SIGN)
        cleared = [r.number(4) for _ in range(r.number(4))]
        r.end()
        if not begins or {SET, HMAC, SIGN} & set(cleared):
            raise Malformed("A is not the change that begins a log")
        self.extend(h(u32(SET), u32(0x40000001), raw), h(u32(0), u32(SET)))

    def line_K(self, _, k, ts, kind, public, steps, att, sig, cluster, key_id):
        if self.unattested or self.waiting or int(k) != len(self.keys) or int(k) > 255 or \
                (kind == "p256" and cluster + key_id):
            raise Malformed("a key that cannot stand here")
        public, cluster, key_id = bytes.fromhex(public), unescape(cluster), unescape(key_id)
        steps = [(int(c, 16), bytes.fromhex(a)) for c, a in re.findall(r'\["(.{8})","(.*?)"\]', steps)]
        if len(public) > 256 or len(steps) > 8:
            raise Malformed("a key that is too large")
        name = b"\0\x0b" + h(public)
        self.keys.append((kind, name, cluster, key_id))
        self.seen_pins.add(name.hex())
        if not key_is_good(kind, public, steps, self.tier):
            self.found("key", "not what it should be")
            return
        try:
            a = attestation(bytes.fromhex(att), 0x801a)
        except Malformed as e:
            self.found("key", str(e))
            return
        if a["signer"] != self.ak.qualified:
            self.found("wrong-tpm", "attested by another TPM")
        elif a["name"] != name or a["extra"] != h(lp(b"kubetpm.internal/audit/1/key"), lp(cluster), lp(key_id)) or \
                not self.ak.signed(bytes.fromhex(att), bytes.fromhex(sig)):
            self.found("key", "its attestation does not verify")

    def line_B(self, _, ts, reset, restart):
        reset, restart = int(reset), int(restart)
        known = self.boot[0] if self.boot else self.last["reset"]
        self.boot = (reset, restart)
        if reset == known:
            return
        if reset < known:
            self.cleared = True
            self.found("cleared", "the TPM was cleared")
        if self.unattested:
            self.window = True
            self.lost += sum(w[0] != "C" for w in self.waiting)
            self.found("window", f"a reset with {self.unattested} entries and {len(self.waiting)} intents open")
        else:
            self.boot_waiting += len(self.waiting)
            if self.tier == "C" and any(w[0] != "C" for w in self.waiting):
                self.found("window", "a reset with an intent open")
        self.waiting, self.digest, self.unknown, self.orphans = [], None, False, self.unattested

    def intend(self, n, op, cp, ts=None):
        if int(n) != self.results + len(self.waiting):
            self.found("sequence", "an intent with another number")
        self.waiting.append((op, cp, ts))

    def hmac(self, n, op, k, identifier):
        if self.waiting or int(k) >= len(self.keys) or self.keys[int(k)][0] != "hmac":
            raise Malformed("an intent that cannot stand here")
        _, name, cluster, key_id = self.keys[int(k)]
        data = h(lp(b"kubetpm.internal/kms-record/1/input"), lp(cluster), lp(key_id), lp(identifier))
        self.intend(n, op, h(u32(HMAC), name, two_b(data), u16(0x10)))

    def line_E(self, before, n, ts, k, uid, identifier, rnd):
        identifier, op = bytes.fromhex(identifier), "E"
        if h(lp(b"kubetpm.internal/audit/1/id"), lp(before), lp(bytes.fromhex(rnd))) != identifier:
            self.found("disguised", "a decryption, written as an encryption")
            op = "D"
        self.hmac(n, op, k, identifier)

    def line_D(self, _, n, ts, k, uid, identifier):
        self.hmac(n, "D", k, bytes.fromhex(identifier))

    def line_R(self, _, n, ts):
        if self.tier != "A" or not self.waiting or self.waiting[0][0] in "SC" or len(self.waiting) == 16:
            raise Malformed("repeats nothing")
        self.intend(n, "R", self.waiting[0][1])

    def line_S(self, _, n, ts, k, tbs):
        if self.waiting or int(k) >= len(self.keys) or self.keys[int(k)][0] != "p256" or \
                not is_certificate(bytes.fromhex(tbs)):
            raise Malformed("an intent that cannot stand here")
        self.intend(n, "S", h(u32(SIGN), self.keys[int(k)][1], two_b(h(bytes.fromhex(tbs))), u16(0x10), u16(0x8024),
                              u32(0x40000007), u16(0)))

    def line_P(self, _, n, ts):
        if self.waiting:
            raise Malformed("a checkpoint while an intent waits")
        self.intend(n, "C", b"", ts)

    def result(self, n, ops, rp):
        if not self.waiting or self.waiting[0][0] not in ops:
            raise Malformed("a result that nothing waits for")
        if int(n) != self.results:
            self.found("sequence", "a result with another number")
        op, cp, _ = self.waiting.pop(0)
        self.extend(cp, rp)
        self.counts[{"E": "encryptions", "D": "decryptions", "R": "redone", "S": "certificates"}[op]] += 1
        self.results += 1
        self.unattested += 1

    def line_O(self, _, n, rp):
        self.result(n, "EDR", bytes.fromhex(rp))

    def line_Q(self, _, n, sig):
        sig = bytes.fromhex(sig)
        self.result(n, "S", h(u32(0), u32(SIGN), u16(0x18), u16(0xb), two_b(sig[:32]), two_b(sig[32:])))

    def line_X(self, _, ts, why, count):
        count = int(count)
        if why == "not-executed":
            if not 0 < count <= len(self.waiting):
                raise Malformed("gives up what is not there")
            del self.waiting[-count:]
            return
        if count != len(self.waiting):
            raise Malformed("gives up what is not there")
        if self.tier != "A":
            if why != "lost":
                raise Malformed("nothing is lost with an attestation")
            self.lost += sum(w[0] != "C" for w in self.waiting)
            self.orphans, self.waiting, self.digest = self.unattested, [], None
            self.found("lost", "the session is gone")
            return
        self.waiting = []
        self.found(why, "an answer is lost")
        if why == "lost":
            self.unknown = True
        else:
            self.taken += 1
            self.digest, self.unknown = None, False

    def line_C(self, before, n, ts, nonce, head, uses, att, sig):
        att, sig, claimed = bytes.fromhex(att), bytes.fromhex(sig), bytes.fromhex(head)
        if [(w[0], w[2]) for w in self.waiting] != [("C", ts)] or len(att) > 1024:
            raise Malformed("a checkpoint that was not announced")
        if (uses is not None) != (self.tier == "B") or int(uses or 0) >= 1 << 32:
            raise Malformed("a checkpoint of another tier")
        a = attestation(att, 0x8015 if self.tier == "A" else 0x8016)
        self.counts["checkpoints"] += 1
        if claimed != before:
            self.found("chain", "lines before it were changed")
        if int(n) != self.results:
            self.found("sequence", "for another number of results")
        if a["signer"] != self.ak.qualified:
            self.found("wrong-tpm", "attested by another TPM")
        elif not self.ak.signed(att, sig):
            self.found("signature", "does not verify")
        if a["extra"] != h(nonce.encode(), claimed):
            self.found("chain", "for other lines")
        if self.tier != "A":
            a.update(counter=int(uses or 0), bound=h(nonce.encode(), claimed))
            self.session(a)
        else:
            self.commands(a)
            self.counter(a)
        self.boots(a)
        self.last = {k: a[k] for k in ("counter", "reset", "restart", "clock")}
        self.results, self.waiting, self.nonce, self.any_checkpoint = int(n), [], nonce, True
        # What follows goes on from what the checkpoint claims.
        counted = {} if uses is None else {"uses": int(uses)}
        text = json.dumps({"t": "C", "n": int(n), "ts": int(ts), "nonce": nonce, "head": head, **counted,
                           "att": att.hex(), "sig": sig.hex()}, separators=(",", ":"))
        self.head = h(claimed, text.encode())
        self.new_epoch()

    def commands(self, a):
        if a["alg"] != 0xb or a["commands"] != h(u32(SET), u32(HMAC), u32(SIGN)):
            self.found("audit-set", "other commands were audited")
        if not self.unknown and a["digest"] != (self.digest or b""):
            self.found("digest", "other uses were counted")

    def session(self, a):
        """It ends with what binds it to the attestation, and in B the count, which each use has raised by one."""
        digest = h(self.digest or ZEROS, h(u32(STIR), two_b(a["bound"])), h(u32(0), u32(STIR)))
        if self.tier == "B":
            name = counter_name()
            digest = h(digest, h(u32(NV_READ), name, name, u16(8), u16(0)),
                       h(u32(0), u32(NV_READ), two_b(u32(a["counter"]) + b"\xff" * 4)))
        if a["digest"] != digest:
            self.found("digest", "the session had other commands, or another count was read, or before")
        if self.tier == "B":
            self.uses(a)

    def uses(self, a):
        surplus = a["counter"] - self.last["counter"] - self.unattested
        if surplus < 0:
            self.found("gap", "fewer uses were counted")
        elif surplus > self.lost + self.boot_waiting:
            self.found("uses", f"{surplus} uses without an entry")
        elif surplus > self.lost:
            self.found("window", "uses in an operation that a reset cut off")

    def counter(self, a):
        expected = self.last["counter"] + (1 if a["digest"] else 0) + self.taken
        surplus, was_reset = a["counter"] - expected, a["reset"] != self.last["reset"]
        if surplus > 0 and not was_reset:
            self.found("gap", "digests are missing without a reset")
        elif surplus > 0 and not (surplus == 1 and self.window):
            self.found("window" if surplus == 1 and self.boot_waiting else "gap", "digests were lost at a reset")
        elif surplus < 0 and a["reset"] >= self.last["reset"]:
            self.found("gap", "the counter fell")

    def boots(self, a):
        same = a["reset"] == self.last["reset"]
        if a["reset"] < self.last["reset"] and not self.cleared:
            self.found("cleared", "the TPM was cleared")
        if a["restart"] != (self.last["restart"] if same else 0):
            self.found("restart", "restarted from a saved state")
        elif self.boot and self.boot != (a["reset"], a["restart"]):
            self.found("restart", "not what the last B line says")
        if a["clock"] < self.last["clock"] and a["safe"]:
            self.found("clock", "the clock was turned back")

    def read(self, path):
        opened = gzip.open if open(path, "rb").read(2) == b"\x1f\x8b" else open
        with opened(path, "rb") as f:
            data = f.read()
        lines = data.split(b"\n")
        if not data:
            self.place = (path, 1)
        for number, raw in enumerate(lines[:-1], 1):
            self.place = (path, number)
            self.line(raw.decode("latin-1"), number == 1)
        if lines[-1] or not data:
            self.place = (path, len(lines))
            self.found("truncated", "the file is empty, or ends within a line")
            self.place = (path, max(len(lines) - 1, 1))

    def conclude(self, nonce, tier):
        if self.tier not in (None, tier.upper()):
            self.found("tier", "of another tier than was expected")
        if not self.any_checkpoint:
            self.found("truncated", "no checkpoint")
        elif self.lines or self.waiting:
            self.found("truncated", "not vouched for by a checkpoint")
        if nonce is not None and (self.nonce or "") != nonce:
            self.found("truncated", "not the nonce")
        for pin in self.pins:
            if pin not in self.seen_pins:
                self.found("key", "a key is not in the log")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--ak", required=True)
    p.add_argument("--key-name", action="append", default=[])
    p.add_argument("--nonce")
    p.add_argument("--tier", default="a")
    p.add_argument("logs", nargs="+")
    args = p.parse_args()
    log = Log(AttestationKey(args.ak), [n.lower() for n in args.key_name])
    try:
        for path in args.logs:
            log.read(path)
        log.conclude(args.nonce.lower() if args.nonce else None, args.tier)
    except Malformed as e:
        log.found("malformed", str(e))
    ids = {f["id"] for f in log.findings}
    entries = log.results - (log.first or 0)
    print(json.dumps(dict(log.counts, verdict="incomplete" if ids else "complete", entries=entries,
                          findings=log.findings)))
    if "malformed" in ids:
        return 5
    if "wrong-tpm" in ids:
        return 10
    return 14 if ids - {"truncated"} else 13 if ids else 0


if __name__ == "__main__":
    sys.exit(main())
