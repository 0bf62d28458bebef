#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lint-docs.py BUILD: compares what a program's --help says with its man page and its bash completion, both
ways, for each verb, and a module's parameters with its man page. Prints a line a difference."""
import glob
import os
import re
import subprocess
import sys

HELP_OPTION = re.compile(r"^  (?:-\w, |    )--([a-z][a-z0-9-]*)", re.M)
HELP_VERB = re.compile(r"^  ([a-z][a-z0-9-]*) ", re.M)
MAN_ITEM = re.compile(r"^\.It .*", re.M)
MAN_OPTION = re.compile(r"\bFl -([a-z][a-z0-9-]*)")
COMMON_OPTIONS = {"help", "version"}


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print("%s: exit status %d" % (" ".join(command), done.returncode))
    return done.stdout


def read(path):
    if not os.path.exists(path):
        print("missing: %s" % path)
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read()


def man_options(text):
    """The long options that a part of a man page explains: those of its list items."""
    return {name for item in MAN_ITEM.findall(text) for name in MAN_OPTION.findall(item)}


def compare(what, left, left_name, right, right_name):
    for name in sorted(left - right):
        print("%s: %s is in %s, not in %s" % (what, name, left_name, right_name))
    for name in sorted(right - left):
        print("%s: %s is in %s, not in %s" % (what, name, right_name, left_name))


def complete(path, program, *words):
    """What the completion offers behind these words."""
    script = r"""
. "$1"; shift
spec=$(complete -p "$1") || exit 1
function=$(sed 's/.*-F \([^ ]*\).*/\1/' <<<"$spec")
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"$function" "$1" "${@: -1}" "${@: -2:1}" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", script, "bash", path, program, *words],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print("%s: does not complete %s" % (path, " ".join(words)))
    return set(done.stdout.split())


def long_options(words):
    return {w[2:].rstrip("=") for w in words if w.startswith("--")}


def sections(page):
    """The text of each .Ss of a man page, by its title; "" is what stands before and between."""
    found = {"": ""}
    title = ""
    for line in page.splitlines(keepends=True):
        if line.startswith(".Ss "):
            title = line[4:].strip().strip('"')
            found.setdefault(title, "")
        elif line.startswith(".Sh "):
            title = ""
        else:
            found[title] += line
    return found


def check_plain(program, binary, page, completion):
    """A program without verbs, or with one beside what it mostly does: --help names it 'PROGRAM VERB'."""
    help_text = output(binary, "--help")
    parts = sections(page)
    verbs = set(re.findall(r"'%s ([a-z-]+)'" % program, help_text))
    own = "".join(text for title, text in parts.items() if title not in verbs)
    cases = [((), own)] + [((verb,), parts.get(verb, "")) for verb in sorted(verbs)]
    for words, text in cases:
        what = " ".join((program, *words))
        options = set(HELP_OPTION.findall(output(binary, *words, "--help")))
        documented = man_options(text) | (COMMON_OPTIONS if words else set())
        compare(what, options, "--help", documented, "the man page")
        compare(what, options, "--help", long_options(complete(completion, program, *words, "--")),
                "the completion")
    offered = {w for w in complete(completion, program, "") if not w.startswith("-")}
    compare(program, verbs, "--help", offered, "the completion")


def check_verbs(program, binary, page, completion, verbs):
    parts = sections(page)
    common = man_options(parts[""])
    documented = {t for t in parts if t and re.fullmatch(r"[a-z][a-z0-9-]*", t)}
    compare(program, verbs, "--help", documented, "the man page")
    compare(program, verbs, "--help",
            {w for w in complete(completion, program, "") if not w.startswith("-")},
            "the completion")
    seen = set()
    for verb in sorted(verbs):
        what = "%s %s" % (program, verb)
        options = set(HELP_OPTION.findall(output(binary, verb, "--help")))
        seen |= options
        own = man_options(parts.get(verb, ""))
        for name in sorted(options - own - common - COMMON_OPTIONS):
            print("%s: --%s is in --help, not in the man page" % (what, name))
        for name in sorted(own - options):
            print("%s: --%s is in the man page, not in --help" % (what, name))
        compare(what, options, "--help", long_options(complete(completion, program, verb, "--")),
                "the completion")
    for name in sorted(common - seen - COMMON_OPTIONS):
        print("%s: --%s is in the man page, and no verb has it" % (program, name))


def check_program(binary):
    program = os.path.basename(binary)
    pages = glob.glob("%s/%s.[1-8]" % (program, program))
    if not pages:
        print("missing: a man page in %s/" % program)
        return
    page = read(pages[0])
    completion = "%s/%s.bash" % (program, program)
    if not read(completion):
        return
    help_text = output(binary, "--help")
    verbs = set(HELP_VERB.findall(help_text)) if " VERB" in help_text.splitlines()[0] else set()
    if verbs:
        check_verbs(program, binary, page, completion, verbs)
    else:
        check_plain(program, binary, page, completion)
    status_of = set(re.findall(r"^\.It (\d+)\b", page, re.M))
    if program == "sealtool" and not status_of >= {str(n) for n in range(13) if n != 9}:
        print("%s: not every exit status is in the man page" % program)


def check_modules(build):
    """`exec-plugin --modules`: a line a module, then its parameters, indented, as key=."""
    binary = os.path.join(build, "bin", "exec-plugin")
    modules = os.path.join(build, "modules")
    if not os.path.exists(binary):
        return
    text = output(binary, "--module-dir", os.path.abspath(modules), "--modules")
    listed = {}
    for line in text.splitlines():
        if re.match(r"^[a-z]", line):
            name = line.split()[0].rstrip(":")
            listed[name] = set()
        elif listed:
            listed[name] |= set(re.findall(r"^\s+([a-z][a-z0-9-]*)=", line))
    for path in sorted(glob.glob("modules/*/*.8")):
        name = os.path.basename(path)[:-2]
        if name not in listed:
            print("%s: not in exec-plugin --modules" % name)
            continue
        documented = set(re.findall(r"^\.It (?:Cm|Ar|Li|Sy|Ic) ([a-z][a-z0-9-]*)[ =]", read(path) + "\n", re.M))
        compare(name, listed[name], "--modules", documented, "its man page")
    for name in listed:
        if not os.path.exists("modules/%s/%s.8" % (name, name)):
            print("missing: modules/%s/%s.8" % (name, name))


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    programs = sorted(glob.glob(os.path.join(build, "bin", "*")))
    if not programs:
        print("no programs in %s/bin" % build)
    for binary in programs:
        check_program(binary)
    check_modules(build)


if __name__ == "__main__":
    main()
