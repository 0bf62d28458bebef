#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""audit-kill.py SHIM CONF OPERATIONS SEED: four processes write one audit log: two kms-shims (--stdio, the same key) and
two that have `sealtool sign-cert` sign, one certificate after the other. Each is ended with SIGKILL at random moments and
started again, until OPERATIONS were answered. Prints how many of each kind were, and how many processes were killed;
ends with 1 if a live one refuses.

What an answer was given to must be in the log; so must each window that it has be by one of the kills.
"""
import json
import random
import signal
import subprocess
import sys
import threading
import time

shim, conf, wanted, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
PLAINTEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
lock = threading.Lock()
counts = {"Encrypt": 0, "Decrypt": 0, "sign": 0, "shim kills": 0, "sign kills": 0}
problems, records = [], []
over = threading.Event()


def answered():
    return counts["Encrypt"] + counts["Decrypt"] + counts["sign"]


def count(what):
    with lock:
        counts[what] += 1
        if answered() >= wanted:
            over.set()


class Shim:
    """One kms-shim, with a timer for its end."""

    def __init__(self, rng):
        self.rng, self.process = rng, None

    def start(self):
        self.killed = False
        self.process = subprocess.Popen([shim, "--config", conf, "--stdio"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.timer = threading.Timer(self.rng.uniform(0.05, 0.9), self.kill)
        self.timer.daemon = True
        self.timer.start()

    def kill(self):
        self.killed = True
        self.process.send_signal(signal.SIGKILL)
        count("shim kills")

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            return None
        return json.loads(line) if line.endswith("\n") else None

    def stop(self):
        self.timer.cancel()
        if not self.killed:
            self.process.stdin.close()
        self.process.wait()


def shim_loop(number):
    rng = random.Random(seed * 10 + number)
    s = Shim(rng)
    while not over.is_set() and not problems:
        s.start()
        while not over.is_set() and not problems:
            with lock:
                record = rng.choice(records) if records and rng.random() < 0.6 else None
            request = dict(record, method="Decrypt", uid="k") if record else \
                {"method": "Encrypt", "uid": "k", "plaintext": PLAINTEXT}
            reply = s.ask(request)
            if reply is None:
                break
            if "error" in reply:
                problems.append(reply["error"]["message"])
            elif record and reply["plaintext"] != PLAINTEXT:
                problems.append("another plaintext came back")
            else:
                if not record:
                    with lock:
                        records.append(reply)
                count(request["method"])
        s.stop()


def sign_loop(number):
    rng = random.Random(seed * 10 + number)
    out = "kill-%d.crt" % number
    command = ["sealtool", "sign-cert", "--key", "ca.key", "--ca", "ca.crt", "--csr", "n1.csr", "--days", "9", "--audit",
               "audit.log", "-o", out]
    while not over.is_set() and not problems:
        # Between two of its own a signer is quiet: it would be most of the load.
        time.sleep(rng.uniform(0, 0.2))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        if process.returncode == -signal.SIGKILL:
            count("sign kills")
        elif process.returncode:
            problems.append("sign-cert: %d: %s" % (process.returncode, err))
        else:
            count("sign")


def main():
    loops = [threading.Thread(target=f, args=(n,)) for n, f in enumerate([shim_loop, shim_loop, sign_loop, sign_loop])]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    print(json.dumps(counts))
    if problems:
        sys.exit("; ".join(problems[:3]))


if __name__ == "__main__":
    main()
