#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""measure.py PLAN.json [--json]: times programs side by side, and checks the limits of the plan.

PLAN has `rounds`, `programs` (name to a list of commands, which run one after the other) and `limits`.
Each round runs every program once, so that whatever else the machine does hits all alike; the median
counts. TPM commands are counted by tests/tools/count-tpm-commands, memory by time(1).
"""
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = os.path.join(HERE, "..", "tools", "count-tpm-commands")
NULL = os.open(os.devnull, os.O_RDWR)


def run(command, stdin=None):
    source = os.open(stdin, os.O_RDONLY) if stdin else NULL
    actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, NULL, 1)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if stdin:
        os.close(source)
    if status != 0:
        sys.exit("%s: exit status %d" % (" ".join(command), status))


def timed(program):
    start = time.perf_counter()
    for command in program["commands"]:
        run(command, program.get("stdin"))
    return (time.perf_counter() - start) * 1000


def tpm_commands(program):
    total, spent = 0, 0
    for command in program["commands"]:
        done = subprocess.run([COUNT, "--names", *command], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit("%s: %s" % (" ".join(command), done.stderr))
        lines = done.stdout.splitlines()
        total += int(lines[0])
        spent += sum(int(line.split()[2]) for line in lines[1:])
    return total, spent / 1000


def peak_kib(program):
    most = 0
    for command in program["commands"]:
        done = subprocess.run(["/usr/bin/time", "-f", "%M", *command], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              check=False)
        most = max(most, int(done.stderr.split()[-1]))
    return most


def measure(plan):
    programs = plan["programs"]
    times = {name: [] for name in programs}
    for program in programs.values():
        timed(program)  # once for the page cache
    for _ in range(plan["rounds"]):
        for name, program in programs.items():
            if len(times[name]) < program.get("rounds", plan["rounds"]):
                times[name].append(timed(program))
    results = {}
    for name, program in programs.items():
        result = {"milliseconds": round(statistics.median(times[name]), 2),
                  "best": round(min(times[name]), 2)}
        if program.get("tpm"):
            # Not of the first run: the TPM writes its state now and then.
            counts = [tpm_commands(program) for _ in range(5)]
            result["commands"] = counts[0][0]
            result["tpm_milliseconds"] = round(statistics.median(c[1] for c in counts), 2)
        if program.get("memory"):
            result["peak_mib"] = round(peak_kib(program) / 1024, 1)
        results[name] = result
    return results


def check(plan, results):
    """(text, value, limit, ok) of each limit."""
    found = []
    for limit in plan["limits"]:
        value = results[limit["of"]][limit["what"]]
        text = "%s, %s" % (limit["of"], limit["what"])
        if "to" in limit:
            value = round(value / results[limit["to"]][limit["what"]], 3)
            text = "%s / %s" % (limit["of"], limit["to"])
        found.append((text, value, limit["most"], value <= limit["most"]))
    return found


def print_table(results, limits):
    form = "%-34s %10s %10s %9s %11s %9s"
    print(form % ("", "median ms", "best ms", "commands", "in TPM ms", "peak MiB"))
    for name, r in results.items():
        print(form % (name, "%.2f" % r["milliseconds"], "%.2f" % r["best"], r.get("commands", ""),
                      r.get("tpm_milliseconds", ""), r.get("peak_mib", "")))
    print()
    for text, value, most, ok in limits:
        print("%-5s %-52s %8s   at most %s" % ("ok" if ok else "OVER", text, value, most))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        plan = json.load(f)
    results = measure(plan)
    limits = check(plan, results)
    if "--json" in sys.argv[2:]:
        print(json.dumps({"results": results, "limits": [
            {"what": t, "value": v, "most": m, "ok": ok} for t, v, m, ok in limits]}, indent=1))
    else:
        print_table(results, limits)
    sys.exit(0 if all(ok for _, _, _, ok in limits) else 1)


if __name__ == "__main__":
    main()
