#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage.py BUILD STATUS: sums up what gcov counted, a line a file, then the lines never reached.

A file counts once, however many archives its object went into. Exits with STATUS.
"""
import collections
import json
import os
import subprocess
import sys

SHIPPED = ("lib/", "exec-plugin/", "sealtool/", "modules/")


def gcov(notes):
    done = subprocess.run(["gcov", "--json-format", "--stdout", notes], capture_output=True,
                          check=False)
    for line in done.stdout.splitlines():
        yield from json.loads(line)["files"]


def ranges(numbers):
    """1 2 3 7 -> 1-3 7"""
    found = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return " ".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in found)


def main():
    build, status = sys.argv[1:3]
    counts = collections.defaultdict(dict)
    for folder, _, names in os.walk(build):
        for name in names:
            if not name.endswith(".gcno"):
                continue
            for file in gcov(os.path.join(folder, name)):
                path = os.path.relpath(file["file"])
                if not path.startswith(SHIPPED):
                    continue
                for line in file["lines"]:
                    n = line["line_number"]
                    counts[path][n] = counts[path].get(n, 0) + line["count"]
    total = reached = 0
    print("%7s  %5s  %s" % ("percent", "lines", "file: lines never reached"))
    for path in sorted(counts):
        lines = counts[path]
        missed = sorted(n for n, count in lines.items() if count == 0)
        total += len(lines)
        reached += len(lines) - len(missed)
        percent = 100 * (len(lines) - len(missed)) / len(lines)
        print("%6.1f%%  %5d  %s%s" % (percent, len(lines), path, ": " + ranges(missed) if missed else ""))
    if not total:
        sys.exit("coverage.py: nothing was counted in " + build)
    print("%6.1f%%  %5d  all" % (100 * reached / total, total))
    sys.exit(int(status))


if __name__ == "__main__":
    main()
