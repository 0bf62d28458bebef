#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms-shim's gRPC server, over a module without a TPM: what kube-apiservers sent once, gRPC's C core
# as a client, hostile input, signals, the socket.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'grpc, hpack')
client() {
	"$python" "$tools/kms-client.py" "$sock" "$@"
}
wire() {
	timeout 120 "$python" "$tools/kms-wire.py" "$@"
}
RECORDINGS=$top/tests/data/kms
export RECORDINGS

mkdir modules
cp "$BUILD/fixtures/kms-good.so" modules
chmod 644 modules/*
echo 'first key' >k1.key
echo 'second key' >k2.key
: >faults
chmod 644 faults ./*.key
conf() {
	cat >kms.conf
}
standard_conf() {
	conf <<EOT
module = kms-good
cluster = prod
key = k1.key
faults = faults
listen = unix://$sock
EOT
}
pid=
# Starts a shim and waits until it serves.
start() {
	: >shim.log # not the one before: what it says is waited for
	"$shim" --config kms.conf --module-dir modules -v >shim.out 2>shim.log &
	pid=$!
	tries=0
	while ! grep -q 'debug: ready' shim.log && [ "$tries" -lt 100 ] && kill -0 "$pid"; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
# Ends it with a signal; its status is in $status.
stop() {
	ran="stop $1"
	kill "-$1" "$pid"
	status=0
	wait "$pid" || status=$?
	pid=
}
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$pid" ] || kill -KILL "$pid"'
wait_for_log() {
	tries=0
	while ! grep -qF -e "$1" shim.log && [ "$tries" -lt 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	expect "the log says: $1" grep -F -e "$1" shim.log
}
rss() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"
}
open_fds() {
	find "/proc/$pid/fd" -mindepth 1 | wc -l
}

standard_conf
start

it 'answers Status to the C core'
run client status
expect_status 0
expect_json "j['version']" v2
expect_json "j['healthz']" ok
expect_json "j['key_id'][:7]" sha256:

it 'opens what it encrypted, in both versions'
run client round-trips 20
expect_status 0
run client v1-round-trips 20
expect_status 0
run client v1-version
expect_json "j['version']" v1beta1

it 'serves many connections at once'
run client many 20 10
expect_status 0

it 'answers an error with a code and a sentence, and goes on'
run client encrypt uid-9 00ff
cp "$out" made.json
sed 's/"ciphertext": "../"ciphertext": "aa/' made.json >spoilt.json
run client decrypt uid-10 spoilt.json
expect_status 1
expect_err ': '
run client decrypt uid-10 made.json
expect_out 00ff

for file in "$RECORDINGS"/*.bin; do
	it "answers $(basename "$file") in every way it may be cut"
	run wire replay "$sock" "$file"
	expect_status 0
done

it 'reads in the recordings the uids that are in them'
for file in "$RECORDINGS"/*-v2-*.json; do
	"$python" -c '
import json, sys
for r in json.load(open(sys.argv[1]))["requests"]:
	if "uid" in r["message"]:
		print("uid=" + r["message"]["uid"])' "$file"
done >uids
expect 'there are some' test -s uids
while read -r uid; do
	expect "the log has $uid" grep -q -e "$uid " shim.log
done <uids

it 'never logs a plaintext or a key'
expect_secret_free() {
	if grep -q -e 'first key' -e 00ff -e '70696e67' shim.log; then
		wrong 'a secret is in the log'
	fi
}
expect_secret_free

# Once for what memory it takes to have seen it all, once to see no growth.
for round in 1 2; do
	for case in $(wire cases); do
		it "survives: $case (round $round)"
		run wire hostile "$sock" "$case"
		expect_status 0
		run wire status "$sock"
		expect_status 0
		expect_out sha256:
		expect 'it is the same process' kill -0 "$pid"
	done
	if [ "$round" -eq 1 ]; then
		rss_before=$(rss)
		fds_before=$(open_fds)
	fi
done

it 'has not grown by it'
sleep 1
ran="resident memory $rss_before kB before, $(rss) kB after; descriptors $fds_before, $(open_fds)"
[ "$(open_fds)" -le "$fds_before" ] || wrong 'descriptors are left open'
[ -n "${SAN-}" ] || [ "$(rss)" -le $((rss_before * 105 / 100)) ] || wrong 'memory grows'

it 'fails closed: no Status, no Encrypt, no Decrypt when the module denies; and recovers'
echo denied >faults
sleep 1.1
for call in status 'encrypt u 00' 'decrypt u made.json'; do
	# shellcheck disable=SC2086 # words
	run client $call
	expect_status 1
	expect_err 'FAILED_PRECONDITION: '
done
expect_err 'sha256:7 is not what it was'
: >faults
sleep 1.1
run client decrypt u made.json
expect_out 00ff

it 'goes on with the old key when a reload fails, and says why'
echo nonsense >kms.conf
kill -HUP "$pid"
wait_for_log 'not reloaded, nothing has changed'
run client decrypt u made.json
expect_out 00ff

it 'takes a new key on SIGHUP, and opens what the old one made'
run client status
old_id=$(json "j['key_id']")
standard_conf
sed -i 's/^key = .*/key = k2.key\nold-key = k1.key/' kms.conf
kill -HUP "$pid"
wait_for_log 'debug: reloaded'
run client status
[ "$(json "j['key_id']")" != "$old_id" ] || wrong 'the key_id is still the old one'
run client decrypt u made.json
expect_out 00ff
run client round-trips 5
expect_status 0

it 'says that the socket stays as it is when a reload would change it'
cp kms.conf before.conf
echo 'socket-mode = 0666' >>kms.conf
kill -HUP "$pid"
wait_for_log 'the socket stays as it is'
cp before.conf kms.conf

it 'makes its socket for the owner alone'
[ "$(stat -c %a "$sock")" = 600 ] || wrong "mode $(stat -c %a "$sock")"

it 'does not take a socket that is served'
run "$shim" --config kms.conf --module-dir modules
expect_status 11
expect_err 'another kms-shim serves'
expect_one_line
rm kms.sock.lock
run "$shim" --config kms.conf --module-dir modules
expect_status 11
expect_err 'another process serves'
run client status
expect_status 0

it 'ends on SIGTERM with status 0, and takes its socket along'
stop TERM
expect_status 0
[ ! -e "$sock" ] || wrong 'the socket is still there'

it 'finishes what is under way on SIGTERM, with two GOAWAYs'
start
run wire drain "$sock" "$pid"
expect_status 0
sleep 1
stop KILL 2>/dev/null # too late, if it has ended by itself
expect_status 0

it 'takes over the socket of a shim that was killed'
start
kill -KILL "$pid"
wait "$pid" 2>/dev/null
[ -S "$sock" ] || wrong 'no stale socket to try it with'
start
run client status
expect_status 0
stop TERM

it 'removes nothing that is not a socket'
echo precious >"$sock"
run "$shim" --config kms.conf --module-dir modules
expect_status 8
expect_err 'is not a socket'
expect 'the file is as it was' grep -qx precious "$sock"
rm "$sock"

it 'sets mode and owner as the configuration says'
standard_conf
printf 'socket-mode = 0660\nsocket-group = %s\n' "$(id -g)" >>kms.conf
start
[ "$(stat -c %a "$sock")" = 660 ] || wrong "mode $(stat -c %a "$sock")"
stop TERM
expect_status 0

it 'serves only the users of allow-uid'
standard_conf
echo "allow-uid = $(($(id -u) + 1))" >>kms.conf
start
run wire status "$sock"
[ "$status" -ne 0 ] || wrong 'another user was served'
expect 'it is logged' grep -q 'not in allow-uid' shim.log
stop TERM
standard_conf
echo "allow-uid = $(id -u)" >>kms.conf
start
run client status
expect_status 0
stop TERM

it 'refuses a folder that others can write'
mkdir open-folder
chmod 777 open-folder
standard_conf
sed -i "s|^listen = .*|listen = unix://$dir/open-folder/kms.sock|" kms.conf
run "$shim" --config kms.conf --module-dir modules
expect_status 8
expect_err 'can be written by others'

it 'serves on a socket that systemd made, is ready only when it is, and leaves the socket there'
standard_conf
# LISTEN_PID must be the shim's own, so this process becomes it.
: >shim.log
"$python" - "$shim" "$sock" >shim.out 2>shim.log <<'EOT' &
import os, socket, sys, threading
shim, path = sys.argv[1:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("notify")
listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listening.bind(path)
listening.listen(8)
reader = os.fork()
if reader == 0:
    notify.settimeout(30)
    with open("notified", "w", encoding="ascii") as f:
        while True:
            said = notify.recv(4096).decode()
            f.write(said + "\n--\n")
            f.flush()
            if "STOPPING" in said:
                os._exit(0)
fd = os.dup(listening.fileno())
os.dup2(fd, 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()),
                  NOTIFY_SOCKET=os.path.abspath("notify"))
os.execv(shim, [shim, "--config", "kms.conf", "--module-dir", "modules", "-v"])
EOT
pid=$!
wait_for_log 'debug: ready'
run client round-trips 2
expect_status 0
stop TERM
expect_status 0
[ -S "$sock" ] || wrong 'the socket is gone'
expect 'READY' grep -qx 'READY=1' notified
expect 'STOPPING' grep -qx 'STOPPING=1' notified
rm -f "$sock"

it 'is not ready while the self-test fails, and becomes so without a restart'
standard_conf
echo unavailable >faults
: >shim.log
"$shim" --config kms.conf --module-dir modules -v >shim.out 2>shim.log &
pid=$!
wait_for_log 'not ready: '
run client status
expect_status 1
expect_err 'UNAVAILABLE: '
expect 'not ready' sh -c '! grep -q "debug: ready" shim.log'
: >faults
tries=0
while ! grep -q 'debug: ready' shim.log && [ "$tries" -lt 80 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
run client status
expect_status 0
stop TERM
expect_status 0

done_testing
