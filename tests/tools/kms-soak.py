#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms-soak.py PID SOCKET METRICS STATUS RECORDS: STATUS calls of Status by h2load, and RECORDS of Encrypt and of
Decrypt each, in twenty rounds; each answer of the latter two is looked at, and the shim's own figures have to
say that all had grpc-status 0 (h2load counts errors as success). Fails unless resident memory stays within 2 % over
the last nine tenths, and descriptors do not grow."""
import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

pid, sock, metrics, statuses, records = sys.argv[1:4] + [int(n) for n in sys.argv[4:]]
here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("client", os.path.join(here, "kms-client.py"))
kms = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kms)

ROUNDS = 20


def resident_kib():
    with open("/proc/%s/status" % pid, encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))


def descriptors():
    return len(os.listdir("/proc/%s/fd" % pid))


def settled_descriptors(most):
    """Connections that were just closed by the other side take the loop a moment."""
    for _ in range(40):
        if descriptors() <= most:
            break
        time.sleep(0.05)
    return descriptors()


def figures():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(metrics)
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b""
        while chunk := s.recv(65536):
            text += chunk
    found = {}
    for line in text.decode().split("\n"):
        match = re.fullmatch(r'kubetpm_kms_requests_total\{service="v2",method="(\w+)",code="(\w+)"\} (\d+)', line)
        if match:
            found[match.group(1), match.group(2)] = int(match.group(3))
    return found


def load_status(body, count):
    done = subprocess.run(
        ["h2load", "-n", str(count), "-c", "1", "-m", "10", "-d", body, "-B", "unix:" + sock,
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         "http://localhost/v2.KeyManagementService/Status"],
        capture_output=True, text=True, check=True)
    if "%d succeeded" % count not in done.stdout:
        sys.exit("h2load: " + done.stdout)


def main():
    before, memory = figures(), []
    client = kms.Client(sock)
    client.round_trip()
    first_fds = descriptors()
    with tempfile.NamedTemporaryFile() as body:
        body.write(bytes(5))  # an empty message: no flags, length 0
        body.flush()
        for _ in range(ROUNDS):
            for _ in range(records // ROUNDS):
                client.round_trip()
            load_status(body.name, statuses // ROUNDS)
            memory.append(resident_kib())
    after = figures()
    made = {key: n - before.get(key, 0) for key, n in after.items() if n != before.get(key, 0)}
    per_round = records // ROUNDS * ROUNDS + 1
    # A round trip asks for Status once, too.
    wanted = {("Status", "OK"): statuses // ROUNDS * ROUNDS + per_round, ("Encrypt", "OK"): per_round,
              ("Decrypt", "OK"): per_round}
    steady = memory[ROUNDS // 10:]
    last_fds = settled_descriptors(first_fds)
    growth = (max(steady) - min(steady)) / min(steady) * 100
    print("%d calls, resident %d to %d KiB over the last nine tenths (%.2f %%), descriptors %d to %d" %
          (sum(made.values()), min(steady), max(steady), growth, first_fds, last_fds))
    if made != wanted:
        sys.exit("answered: %r, wanted: %r" % (made, wanted))
    if growth > 2:
        sys.exit("memory is not flat: %r KiB" % memory)
    if last_fds > first_fds:
        sys.exit("descriptors have grown")
    if max(memory) > int(os.environ.get("KMS_SOAK_MAX_KIB", "10240")):
        sys.exit("more than %s KiB" % os.environ.get("KMS_SOAK_MAX_KIB", "10240"))


main()
