#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms.py BENCH SHIM [--json]: measures kms-shim in a folder that kms.sh has set up, and checks the limits. Every
h2load run is followed by a look at the shim's own counters: h2load counts gRPC errors as success."""
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = os.path.join(HERE, "..", "tools", "count-tpm-commands")
bench, shim = sys.argv[1:3]
STATUS_CALLS = 60000
LATENCY_CALLS = 3000
STARTS = 15
SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
# EncryptRequest: 32 bytes of plaintext, and a uid
ENCRYPT = bytes([0x0A, 32]) + bytes(32) + bytes([0x12, 36]) + b"b7a3a4b4-3b1a-4a5e-9c43-5c0e2f3d1a77"

results, failures = {}, []


def note(name, value, limit=None, least=False):
    results[name] = value
    if limit is not None and (value < limit if least else value > limit):
        failures.append("%s: %s, limit %s" % (name, value, limit))
    results.setdefault("limits", {})[name] = limit


def wait_for(path):
    for _ in range(500):
        if os.path.exists(path):
            return
        time.sleep(0.01)
    sys.exit("%s does not come" % path)


def on_cpu(cpu, *command, **more):
    return subprocess.Popen(["taskset", "-c", str(cpu), *command], stdin=subprocess.DEVNULL, **more)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1)) / 1024


def answered(method):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("metrics.sock")
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b""
        while chunk := s.recv(65536):
            text += chunk
    counts = dict(re.findall(r'kubetpm_kms_requests_total\{service="v2",method="%s",code="(\w+)"\} (\d+)' % method,
                             text.decode()))
    return int(counts.pop("OK", 0)), sum(map(int, counts.values()))


def h2load(sock, method, message, calls, at_once):
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(message).to_bytes(4, "big") + message)
        body.flush()
        done = subprocess.run(
            ["taskset", "-c", "0", "h2load", "-n", str(calls), "-c", "1", "-m", str(at_once), "-d", body.name,
             "-B", "unix:" + os.path.abspath(sock), "-H", "content-type: application/grpc", "-H", "te: trailers",
             "http://localhost/v2.KeyManagementService/" + method],
            capture_output=True, text=True, check=True)
    if "%d succeeded" % calls not in done.stdout:
        sys.exit(done.stdout)
    return float(re.search(r"finished in [0-9.a-z]+, ([0-9.]+) req/s", done.stdout).group(1))


def proven(method, message, calls, at_once):
    """The same against the shim, whose counters have to agree."""
    before = answered(method)
    rate = h2load("kms.sock", method, message, calls, at_once)
    after = answered(method)
    if after != (before[0] + calls, before[1]):
        sys.exit("%s: %r answered, of %d" % (method, after, calls))
    return rate


def cold_start():
    times = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        process = subprocess.Popen([shim, "--config", "kms.conf"], stdin=subprocess.DEVNULL)
        while True:
            try:
                if first_status():
                    break
            except OSError:
                time.sleep(0.0005)
        times.append((time.perf_counter() - begun) * 1000)
        process.terminate()
        process.wait()
    return statistics.median(times)


# Preface, SETTINGS, HEADERS of a Status as literals without indexing (RFC 7541, 6.2.2), an empty message.
FIELDS = [(":method", "POST"), (":scheme", "http"), (":path", "/v2.KeyManagementService/Status"),
          (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")]
BLOCK = b"".join(b"\0" + bytes([len(n)]) + n.encode() + bytes([len(v)]) + v.encode() for n, v in FIELDS)
FIRST = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) +
         len(BLOCK).to_bytes(3, "big") + bytes([1, 4, 0, 0, 0, 1]) + BLOCK +
         bytes([0, 0, 5, 0, 1, 0, 0, 0, 1]) + bytes(5))


def first_status():
    """A whole Status with nothing but the socket, so that nothing but the shim takes time."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect("kms.sock")
        s.sendall(FIRST)
        data = b""
        while b"sha256:" not in data:
            more = s.recv(65536)
            if not more or b"grpc-message" in data:
                sys.exit("the first Status was refused")
            data += more
    return True


def commands(conf):
    """Of one more Encrypt, once warm."""
    counts = []
    for n in (1, 11):
        lines = '{"method":"Encrypt","uid":"e","plaintext":"%s"}\n' % SEED * n
        done = subprocess.run([COUNT, "--output", "replies", shim, "--config", conf, "--stdio"],
                              input=lines, capture_output=True, text=True, check=True)
        with open("replies", encoding="utf-8") as f:
            if f.read().count("ciphertext") != n:
                sys.exit("%s: not every Encrypt was answered" % conf)
        counts.append(int(done.stdout.split()[0]))
    return (counts[1] - counts[0]) / 10


def measure_shim():
    process = on_cpu(1, shim, "--config", "kms.conf")
    try:
        wait_for("kms.sock")
        while not ready():
            time.sleep(0.01)
        note("Status calls/s, one connection, ten in flight",
             max(proven("Status", b"", STATUS_CALLS, 10) for _ in range(3)), 15000, least=True)
        begun = cpu_seconds(process.pid)
        proven("Status", b"", STATUS_CALLS, 10)
        shim_cpu = (cpu_seconds(process.pid) - begun) / STATUS_CALLS * 1e6
        note("Status, CPU us", shim_cpu)
        runs = [json.loads(subprocess.check_output(
            [bench + "/kms-latency", "kms.sock", str(LATENCY_CALLS)])) for _ in range(3)]
        best = {k: min(r[k]["p50"] for r in runs) for k in ("status", "encrypt", "decrypt", "ping_pong")}
        note("ping-pong of %d and %d bytes, p50 us" % (runs[0]["sent"], runs[0]["received"]), best["ping_pong"])
        note("Status, one in flight, p50 us", best["status"])
        note("Status / ping-pong", min(r["status"]["p50"] / r["ping_pong"]["p50"] for r in runs), 3)
        note("Encrypt p50 us", best["encrypt"])
        note("Decrypt p50 us", best["decrypt"])
        note("Encrypts/s, 32 in flight", proven("Encrypt", ENCRYPT, 3000, 32))
        note("resident MiB", resident_mib(process.pid), 10)
        return shim_cpu
    finally:
        process.terminate()
        process.wait()


def ready():
    return subprocess.run([shim, "check", "--config", "kms.conf"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def measure_bare():
    bare = min(float(subprocess.check_output(["taskset", "-c", "1", bench + "/tpm-bare", "k1.key", "1000"]))
               for _ in range(3))
    note("the three TPM commands, bare, p50 us", bare)
    for what in ("Encrypt", "Decrypt"):
        note("%s above that, us" % what, results["%s p50 us" % what] - bare, 150)


def measure_go(shim_cpu):
    if not os.path.exists("goplugin"):
        print("no go here: the plugin in Go is left out", file=sys.stderr)
        return
    process = on_cpu(1, "./goplugin", "go.sock")
    try:
        wait_for("go.sock")
        h2load("go.sock", "Status", b"", 5000, 10)
        note("Go: Status calls/s, ten in flight",
             max(h2load("go.sock", "Status", b"", STATUS_CALLS, 10) for _ in range(3)))
        begun = cpu_seconds(process.pid)
        h2load("go.sock", "Status", b"", STATUS_CALLS, 10)
        go_cpu = (cpu_seconds(process.pid) - begun) / STATUS_CALLS * 1e6
        note("Go: Status, CPU us", go_cpu)
        note("Status, CPU, shim / Go", shim_cpu / go_cpu, 1 / 3)
        note("Go: Encrypts/s, one in flight", h2load("go.sock", "Encrypt", ENCRYPT, 20000, 1))
        note("Go: Encrypts/s, 32 in flight", h2load("go.sock", "Encrypt", ENCRYPT, STATUS_CALLS, 32))
        note("Go: resident MiB", resident_mib(process.pid))
    finally:
        process.terminate()
        process.wait()


def main():
    shim_cpu = measure_shim()
    measure_bare()
    note("cold start to the first good Status, ms", cold_start(), 60)
    note("TPM commands of an Encrypt, literal PCRs", commands("kms.conf"), 3)
    note("TPM commands of an Encrypt, approved states", commands("signed.conf"), 4)
    measure_go(shim_cpu)
    limits = results.pop("limits")
    if "--json" in sys.argv:
        print(json.dumps({"figures": results, "limits": {k: v for k, v in limits.items() if v is not None},
                          "failures": failures}, indent=1))
    else:
        for name, value in results.items():
            limit = limits[name]
            least = name.startswith("Status calls/s")
            print("%-52s %10.2f %s" % (name, value, "" if limit is None else "at %s %.2f" % (
                "least" if least else "most", limit)))
    for failure in failures:
        print("over the limit: " + failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
