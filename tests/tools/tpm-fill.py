#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tpm-fill.py SOCKET sessions|objects: takes all session or transient object slots of a swtpm, and leaves.

Prints how many there were and the TPM's last word. Nothing but `tpm2_flushcontext` gives them back.
"""
import socket
import struct
import sys

NULL_HIERARCHY = 0x40000007
ATTEMPTS_MAX = 100


def start_session():
    """TPM2_StartAuthSession (Part 3, 11.1): unsalted, unbound, a policy session."""
    body = struct.pack(">IIH16sHBHH", NULL_HIERARCHY, NULL_HIERARCHY, 16, bytes(16), 0, 1, 0x10, 0xB)
    return struct.pack(">HII", 0x8001, 10 + len(body), 0x176) + body


def create_primary():
    """TPM2_CreatePrimary (Part 3, 24.1): an ECC P-256 storage key, empty password."""
    public = struct.pack(">HHIHHHHHHHHH", 0x23, 0xB, 0x00030072, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0)
    body = struct.pack(">II", NULL_HIERARCHY, 9) + struct.pack(">IHBH", 0x40000009, 0, 0, 0)
    body += struct.pack(">HHH", 4, 0, 0) + struct.pack(">H", len(public)) + public
    body += struct.pack(">HI", 0, 0)
    return struct.pack(">HII", 0x8002, 10 + len(body), 0x131) + body


def main():
    path, what = sys.argv[1:3]
    command = start_session() if what == "sessions" else create_primary()
    with socket.socket(socket.AF_UNIX) as tpm:
        tpm.connect(path)
        for n in range(ATTEMPTS_MAX):
            tpm.sendall(command)
            code = struct.unpack(">HII", tpm.recv(4096)[:10])[2]
            if code:
                print(n, hex(code))
                return
    sys.exit("the TPM has no end of room")


if __name__ == "__main__":
    main()
