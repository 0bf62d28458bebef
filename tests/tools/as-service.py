#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""as-service.py UNIT SOCKET READY COMMAND...: starts COMMAND as the service manager would for what UNIT
says about users, capabilities, groups, limits and the socket, as far as that needs no service manager: an
unprivileged user with one further group, no capabilities, LISTEN_FDS, NOTIFY_SOCKET. Prints what it is told
on the notify socket to the file READY, passes SIGTERM and SIGHUP on, and ends with the command's status.
Needs root."""
import os
import re
import resource
import signal
import socket
import subprocess
import sys

unit, path, ready, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
NOBODY = 65534
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def setting(name):
    with open(unit, encoding="utf-8") as f:
        found = re.findall(r"^%s=(.*)$" % name, f.read(), re.M)
    if len(found) != 1:
        sys.exit("%s: %d settings %s" % (unit, len(found), name))
    return found[0]


def size(text):
    number, factor = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) * SIZES[factor]


LIMITS = [(getattr(resource, "RLIMIT_" + name), size(setting("Limit" + name)))
          for name in ("CORE", "MEMLOCK", "NOFILE")]
UMASK = int(setting("UMask"), 8)
if setting("CapabilityBoundingSet") != "" or setting("NoNewPrivileges") != "yes" or \
        setting("DynamicUser") != "yes":
    sys.exit("%s: not the user that this runs it as" % unit)

listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(16)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify_path = path + ".notify"
notify.bind(notify_path)
os.chmod(notify_path, 0o777)
shell = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--groups=%s" % os.environ["GROUP"],
         "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
         "sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"]


def prepare():
    if listener.fileno() != 3:
        os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.umask(UMASK)
    for limit, value in LIMITS:
        # A sandbox may not be allowed to raise them.
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


with open(ready, "w", encoding="utf-8") as told:
    child = subprocess.Popen(shell + command, preexec_fn=prepare, close_fds=False, cwd="/",
                             env=dict(os.environ, LISTEN_FDS="1", NOTIFY_SOCKET=notify_path))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: child.send_signal(number))
    notify.settimeout(0.2)
    while child.poll() is None:
        try:
            told.write(notify.recv(4096).decode() + "\n")
            told.flush()
        except socket.timeout:
            pass
sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)
