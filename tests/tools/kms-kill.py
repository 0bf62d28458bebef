#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms-kill.py SHIM CONF SOCKET OPERATIONS SEED: starts kms-shim again and again, has four clients Encrypt and
Decrypt, and ends it with SIGKILL at random moments, until OPERATIONS were answered. Then each ciphertext that
was ever returned is opened. Prints what was done; exits with 1 if a record does not open, or a live shim
refuses."""
import importlib.util
import os
import random
import signal
import subprocess
import sys
import threading
import time

shim, conf, sock, wanted, seed = sys.argv[1:4] + [int(n) for n in sys.argv[4:]]
here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("client", os.path.join(here, "kms-client.py"))
kms = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kms)

CLIENTS = 4
lock = threading.Lock()
records, problems = [], []
counts = {"answered": 0, "encrypts": 0, "lost": 0}
process = None
killed = threading.Event()  # the next failure is ours
over = threading.Event()


def start():
    global process
    process = subprocess.Popen([shim, "--config", conf], stdin=subprocess.DEVNULL)


def wait_until_ready():
    end = time.time() + 60
    while time.time() < end:
        try:
            kms.Client(sock).call("v2", "Status", timeout=1)
            return
        except kms.grpc.RpcError:
            if process.poll() is not None:
                sys.exit("kms-shim ended by itself, with status %d" % process.returncode)
            time.sleep(0.02)
    sys.exit("kms-shim does not come back")


def encrypt(client, rng):
    plaintext = rng.randbytes(32)
    r = client.call("v2", "Encrypt", plaintext=plaintext, uid="kill")
    return plaintext, r.ciphertext, r.key_id, dict(r.annotations)


def decrypt(client, record):
    plaintext, ciphertext, key_id, annotations = record
    r = client.call("v2", "Decrypt", uid="kill", ciphertext=ciphertext, key_id=key_id,
                    annotations=annotations)
    if r.plaintext != plaintext:
        problems.append("another plaintext came back")


def operate(client, rng):
    with lock:
        known = rng.choice(records) if records and rng.random() < 0.5 else None
    record = None
    if known:
        decrypt(client, known)
    else:
        record = encrypt(client, rng)
    with lock:
        counts["answered"] += 1
        if record:
            counts["encrypts"] += 1
            records.append(record)


def client_loop(number):
    rng = random.Random(seed * 100 + number)
    client = kms.Client(sock)
    while not over.is_set() and not problems:
        generation = process.pid
        try:
            operate(client, rng)
        except kms.grpc.RpcError as e:
            if e.code() not in (kms.grpc.StatusCode.UNAVAILABLE, kms.grpc.StatusCode.CANCELLED) or \
                    (process.pid == generation and not killed.is_set()):
                problems.append("%s: %s" % (e.code(), e.details()))
                return
            with lock:
                counts["lost"] += 1
            # A channel's own back-off grows to minutes.
            client = kms.Client(sock)
            time.sleep(0.05)


def main():
    rng = random.Random(seed)
    kills = 0
    start()
    wait_until_ready()
    threads = [threading.Thread(target=client_loop, args=(n,), daemon=True) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while counts["answered"] < wanted and not problems:
        time.sleep(rng.uniform(0.02, 0.8))
        killed.set()
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        start()
        wait_until_ready()
        killed.clear()
    over.set()
    for thread in threads:
        thread.join(30)
    if problems:
        sys.exit("; ".join(problems[:3]))
    opener = kms.Client(sock)
    for record in records:
        decrypt(opener, record)
    process.terminate()
    status = process.wait(30)
    print("seed %d: %d kills during %d operations (%d lost their answer), all %d ciphertexts open" %
          (seed, kills, counts["answered"], counts["lost"], len(records)))
    if problems or status != 0:
        sys.exit(problems[0] if problems else "it ended with status %d" % status)


try:
    main()
finally:
    if process is not None and process.poll() is None:
        process.kill()
