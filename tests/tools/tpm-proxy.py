#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tpm-proxy.py TPM SOCKET WHAT N [LOG]: an interposer between a program and swtpm, for the tests.

Passes commands from SOCKET on to the TPM's socket, and answers back; tpm2-tss makes a connection for
each. Command number N (from 1) gets special treatment: WHAT is a number of seconds to wait before the
answer is passed on, or "gone" (from then on there is no TPM), "garbage" (success, with random
bytes), "flip" (one bit of the answer's parameters is changed), or "key=FILE" (the public area in
TPM2_ReadPublic's answer is replaced by FILE, a TPM2B_PUBLIC; the Name stays: what somebody on the
bus would do to read the salt of a session). With LOG, all bytes that pass are appended to that file.
SOCKET.ctrl is passed through.

WHAT may also be "as=FILE", from command N on: what happens is what FILE says when the command comes. "rc HEX":
this response code, and the TPM never sees the command; "hang": no answer, until FILE says something else;
"drop": the connection is closed without one; nothing: the TPM answers. Once each, for the next command with the
code CC: "lose CC": the connection is closed, and the TPM never sees it; "swallow CC": the TPM carries it out,
and the connection is closed without an answer. With "PID" behind it, process PID is killed before; with "PID N",
N such commands pass first. "without CC...": a chip that does not have these commands, and says so.
"""
import os
import signal
import socket
import sys
import threading
import time


def receive(s):
    """One TPM command or response: the header has its size (TPM 2.0 Part 1, 18)."""
    data = b""
    while len(data) < 10 or len(data) < int.from_bytes(data[2:6], "big"):
        more = s.recv(65536)
        if not more:
            return None
        data += more
    return data


def answer_of(path, command):
    with socket.socket(socket.AF_UNIX) as tpm:
        tpm.connect(path)
        tpm.sendall(command)
        return receive(tpm)


def spoil(what, answer):
    changed = bytearray(answer)
    if what == "garbage":
        changed[6:] = bytes(4) + os.urandom(len(answer) - 10)
    elif what == "flip":
        changed[18 if len(changed) > 20 else -1] ^= 1
    elif what.startswith("key="):
        with open(what[4:], "rb") as f:
            public = f.read()
        old = 2 + int.from_bytes(answer[10:12], "big")
        changed[10:10 + old] = public
        changed[2:6] = len(changed).to_bytes(4, "big")
    else:
        time.sleep(float(what))
    return bytes(changed)


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return ""


def write(path, text):
    with open(path + ".proxy", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".proxy", path)


def once(order, what, tpm, command):
    """Has the order for this command's code been carried out?"""
    words = what.split()
    if words[:1] not in (["lose"], ["swallow"]) or int(words[1], 16) != int.from_bytes(command[6:10], "big"):
        return False
    if len(words) > 3 and int(words[3]) > 0:
        write(order, " ".join(words[:3] + [str(int(words[3]) - 1)]))
        return False
    if len(words) > 2:
        os.kill(int(words[2]), signal.SIGKILL)
    if words[0] == "swallow":
        answer_of(tpm, command)
    write(order, "")
    return True


def answer_without(missing, tpm, command):
    """As a chip that lacks the commands: TPM_RC_COMMAND_CODE, and TPM2_GetCapability passes over them."""
    if int.from_bytes(command[6:10], "big") in missing:
        return bytes.fromhex("80010000000a" "00000143")
    if command[6:18] == bytes.fromhex("0000017a" "00000002") + command[14:18]:
        code = int.from_bytes(command[14:18], "big")
        while code in missing:
            code += 1
        command = command[:14] + code.to_bytes(4, "big") + command[18:]
    return answer_of(tpm, command)


def answer_as(order, tpm, command):
    """The answer to a command while the file says so; None: none."""
    while read(order) == "hang":
        time.sleep(0.02)
    what = read(order)
    if what == "drop" or once(order, what, tpm, command):
        return None
    if what.startswith("rc "):
        return bytes.fromhex("80010000000a") + int(what[3:], 16).to_bytes(4, "big")
    if what.startswith("without "):
        return answer_without([int(word, 16) for word in what.split()[1:]], tpm, command)
    return answer_of(tpm, command)


def copy(source, sink):
    while True:
        data = source.recv(65536)
        if not data:
            break
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def listen(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(64)
    return s


def pass_through(listener, path):
    while True:
        client, _ = listener.accept()
        control = socket.socket(socket.AF_UNIX)
        control.connect(path)
        threading.Thread(target=copy, args=(client, control), daemon=True).start()
        threading.Thread(target=copy, args=(control, client), daemon=True).start()


def main():
    tpm, path, what, number = sys.argv[1:5]
    log = open(sys.argv[5], "ab", buffering=0) if len(sys.argv) > 5 else None
    control = listen(path + ".ctrl")
    threading.Thread(target=pass_through, args=(control, tpm + ".ctrl"), daemon=True).start()
    listener = listen(path)
    count = 0
    while True:
        client, _ = listener.accept()
        with client:
            while True:
                command = receive(client)
                if command is None:
                    break
                count += 1
                if what == "gone" and count >= int(number):
                    os.unlink(path)
                    os._exit(0)
                if what.startswith("as=") and count >= int(number):
                    answer = answer_as(what[3:], tpm, command)
                    if answer is None:
                        break
                else:
                    answer = answer_of(tpm, command)
                if count == int(number) and not what.startswith("as="):
                    answer = spoil(what, answer)
                if log:
                    log.write(command + answer)
                try:
                    client.sendall(answer)
                except OSError:
                    break  # the program is gone, as it may


if __name__ == "__main__":
    main()
