#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""audit.py BENCHES SHIM COUNTER: audit.sh's measurements, in its folder."""
import json
import os
import resource
import subprocess
import sys
import time

benches, shim, counter = sys.argv[1:4]
CALLS = 4000
COUNTED_COMMANDS = 10  # HMAC, PolicySecret; what closes the session; the attestation
failures = []


def note(name, value, limit=None, least=False):
    words = "" if limit is None else "at %s %.2f" % ("least" if least else "most", limit)
    print("%-62s %12.2f %s" % (name, value, words), flush=True)
    if limit is not None and (value < limit if least else value > limit):
        failures.append("%s: %.2f" % (name, value))


def latency(conf, sock):
    """Best of the medians, in microseconds."""
    process = subprocess.Popen(["taskset", "-c", "1", shim, "--config", conf], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(sock):
            time.sleep(0.01)
        time.sleep(0.3)
        runs = [json.loads(subprocess.check_output([benches + "/kms-latency", sock, str(CALLS)])) for _ in range(3)]
        return min(r["decrypt"]["p50"] for r in runs), min(r["encrypt"]["p50"] for r in runs)
    finally:
        process.terminate()
        process.wait()


def commands(conf, count):
    """TPM commands of so many Encrypts, and of the start and the end."""
    requests = "".join('{"method":"Encrypt","uid":"u","plaintext":"AAAA"}\n' for _ in range(count))
    done = subprocess.run([counter, "--output", "replies", shim, "--config", conf, "--stdio"], input=requests,
                          capture_output=True, text=True, check=True)
    with open("replies", encoding="ascii") as f:
        if f.read().count("ciphertext") != count:
            sys.exit("not every Encrypt was answered")
    return int(done.stdout.split()[0])


def verify(path, threads):
    begun = time.monotonic()
    subprocess.run(["audit-verify", "--ak", "made.pub", "--threads", str(threads), path], check=True,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def make(entries, every):
    with open("made.log", "wb") as f:
        subprocess.run([benches + "/audit-make", str(entries), str(every), "made.pub"], stdout=f, check=True)


def measure_verify():
    bare = max(float(subprocess.check_output([benches + "/audit-make", "--bare", "2000000"]).split()[0])
               for _ in range(3))
    note("SHA-256 of what an entry has, alone, one thread: entries/s", bare)
    for every, entries, limit in (1000, 2000000, 1e6), (64, 1000000, 6e5):
        make(entries, every)
        one = entries / min(verify("made.log", 1) for _ in range(3))
        two = entries / min(verify("made.log", 2) for _ in range(3))
        note("audit-verify, checkpoint every %d, one thread: entries/s" % every, one)
        note("audit-verify, checkpoint every %d, two threads: entries/s" % every, two, limit, True)
        note("one thread / SHA-256 alone", one / bare)
    os.unlink("made.log")


def measure_memory():
    """Through a pipe, so that ten million entries need no disk."""
    maker = subprocess.Popen([benches + "/audit-make", "10000000", "1000", "made.pub"], stdout=subprocess.PIPE)
    while not os.path.exists("made.pub"):
        time.sleep(0.01)
    time.sleep(0.2)
    subprocess.run(["audit-verify", "--ak", "made.pub", "--threads", "2", "-"], stdin=maker.stdout, check=True,
                   stdout=subprocess.DEVNULL)
    if maker.wait() != 0:
        failures.append("audit-make failed")
    # Of all children so far, of which this one has the most to hold.
    note("audit-verify, 10,000,000 entries: peak MiB",
         resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 64)


def measure_counted(plain_decrypt):
    """Tier B, in which each operation has its own checkpoint."""
    decrypt, _ = latency("counted.conf", "counted.sock")
    note("Decrypt p50 us, tier b", decrypt)
    note("Decrypt, tier b / not audited", decrypt / plain_decrypt)
    commands("counted.conf", 1)
    few, many = commands("counted.conf", 1), commands("counted.conf", 61)
    note("TPM commands of an Encrypt, tier b, with its checkpoint", (many - few) / 60, COUNTED_COMMANDS)


def main():
    plain_decrypt, plain_encrypt = latency("plain.conf", "plain.sock")
    decrypt, encrypt = latency("audited.conf", "audited.sock")
    note("Decrypt p50 us", plain_decrypt)
    note("Decrypt p50 us, audited", decrypt)
    note("Decrypt, audited / not", decrypt / plain_decrypt, 1.5)
    note("Encrypt, audited / not", encrypt / plain_encrypt)
    commands("audited.conf", 1)  # the key enters the log
    few, many = commands("audited.conf", 1), commands("audited.conf", 61)
    note("TPM commands of an audited Encrypt", (many - few) / 60, 3)
    note("TPM commands of a start, an Encrypt, a checkpoint, an end, audited", few)
    note("the same, not audited", commands("plain.conf", 1))
    measure_counted(plain_decrypt)
    measure_verify()
    measure_memory()
    for failure in failures:
        print("over the limit: " + failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
