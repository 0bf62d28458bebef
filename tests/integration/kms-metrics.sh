#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What kms-shim tells about itself: a line for each call, figures on a socket and in a file. Every figure is
# compared with what was really asked; the page is read by a parser as strict as Prometheus'.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
msock=$dir/metrics.sock
python=$(python_with 'grpc')
client() {
	"$python" "$tools/kms-client.py" "$sock" "$@"
}
# metric SERIES: its value on the page
metric() {
	"$tools/scrape.py" "$msock" "$1"
}
expect_metric() {
	metric_value=$(metric "$1" 2>&1)
	[ "$metric_value" = "$2" ] || wrong "$1 is $metric_value, not $2"
}

mkdir modules
cp "$BUILD/fixtures/kms-good.so" modules
chmod 644 modules/*
echo 'first key' >k1.key
echo 'second key' >k2.key
: >faults
chmod 644 faults ./*.key
conf() {
	printf '%s\n' 'module = kms-good' 'cluster = prod' 'faults = faults' \
		"listen = unix://$sock" "metrics = unix://$msock" "$@" >kms.conf
}
pid=
start() {
	: >shim.log
	"$shim" --config kms.conf --module-dir modules >shim.out 2>shim.log &
	pid=$!
	tries=0
	until [ "$(metric kubetpm_kms_healthy 2>/dev/null)" = 1 ] || [ "$tries" -gt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
stop() {
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	pid=
}
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$pid" ] || kill -KILL "$pid"'
calls() {
	grep -c "call method=$1 " shim.log
}

conf 'key = k1.key' 'textfile = kms.prom'
start

it 'serves a page that a strict parser takes'
run "$tools/scrape.py" "$msock"
expect_status 0
expect_out 'kubetpm_build_info{version='
expect 'at a socket for its owner alone' test "$(stat -c %a "$msock")" = 600

it 'counts exactly what was asked'
for i in 1 2 3; do
	run client encrypt "uid-$i" 00ff
	expect_status 0
	cp "$out" made.json
done
run client round-trips 5
run client v1-round-trips 4
run client decrypt uid-4 made.json
expect_out 00ff
sed 's/"ciphertext": "../"ciphertext": "aa/' made.json >spoilt.json
run client decrypt uid-5 spoilt.json
expect_status 1
expect_metric 'kubetpm_kms_requests_total{service="v2",method="Encrypt",code="OK"}' 8
expect_metric 'kubetpm_kms_requests_total{service="v2",method="Decrypt",code="OK"}' 6
expect_metric 'kubetpm_kms_requests_total{service="v1beta1",method="Encrypt",code="OK"}' 4
expect_metric 'kubetpm_kms_requests_total{service="v1beta1",method="Decrypt",code="OK"}' 4
expect_metric 'kmsplugin_encryption_total{result="success"}' 12
expect_metric 'kmsplugin_encryption_total{result="error"}' 0
expect_metric 'kmsplugin_decryption_total{result="success"}' 10
expect_metric 'kmsplugin_decryption_total{result="error"}' 1
expect_metric kmsplugin_encryption_duration_seconds_count 12
expect_metric 'kmsplugin_decryption_duration_seconds_bucket{le="+Inf"}' 11
expect_metric kubetpm_kms_connections 0
expect_metric kubetpm_kms_queue_length 0
# The self-test counts for the module, not for the API server.
expect_metric kubetpm_tpm_commands_total $((12 + 11 + 2))

it 'logs a line for each of them, with the key_id as the API server shows it'
expect 'Encrypts' test "$(calls v2.Encrypt)" -eq 8
expect 'Decrypts' test "$(calls v2.Decrypt)" -eq 7
expect 'of v1beta1' test "$(calls v1beta1.Encrypt)" -eq 4
hash=sha256:$(printf %s "$(json "j['key_id']" made.json)" | sha256sum | cut -d' ' -f1)
expect 'its hash' grep -q \
	"call method=v2.Encrypt uid=uid-1 key_id_hash=$hash result=OK us=[0-9]* tpm_us=[0-9]* commands=1\$" shim.log
expect 'the reason of a failure' grep -q 'uid=uid-5 .* result=[A-Z_]* us=.* error="' shim.log
expect_metric "kubetpm_kms_key_info{key_id_hash=\"$hash\",use=\"current\"}" 1

it 'logs what a client calls itself as one word'
run client encrypt 'x y result=OK' 00ff
expect 'no blanks' grep -q 'uid=x?y?result?OK key_id_hash' shim.log

it 'logs a Status when it is news, and counts them all'
for i in 1 2 3 4 5 6 7 8 9 10; do
	run client status
done
# Each round trip asked for one, too.
expect_metric 'kubetpm_kms_requests_total{service="v2",method="Status",code="OK"}' 15
expect 'one line' test "$(calls v2.Status)" -eq 1
echo denied >faults
sleep 1.1
run client status
expect_status 1
run client status
expect_status 1
expect_metric kubetpm_kms_healthy 0
expect 'another line' test "$(calls v2.Status)" -eq 2
: >faults
sleep 1.1
run client status
expect_status 0
expect_metric kubetpm_kms_healthy 1
expect 'and a third' test "$(calls v2.Status)" -eq 3
expect 'good a moment ago' python3 -c 'import sys, time
assert 0 <= time.time() - float(sys.argv[1]) < 10' \
	"$(metric kubetpm_kms_last_good_status_timestamp_seconds)"

it 'counts rotations and failed reloads'
conf 'key = k2.key' 'old-key = k1.key' 'textfile = kms.prom'
kill -HUP "$pid"
tries=0
until [ "$(metric 'kubetpm_kms_reloads_total{result="success"}')" = 1 ] || [ "$tries" -gt 50 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
expect_metric 'kmsplugin_local_kek_rotation_total{result="success"}' 1
expect_metric "kubetpm_kms_key_info{key_id_hash=\"$hash\",use=\"old\"}" 1
echo nonsense >>kms.conf
kill -HUP "$pid"
tries=0
until [ "$(metric 'kubetpm_kms_reloads_total{result="error"}')" = 1 ] || [ "$tries" -gt 50 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
expect_metric 'kubetpm_kms_reloads_total{result="error"}' 1
expect_metric 'kmsplugin_local_kek_rotation_total{result="success"}' 1

it 'says that metrics stay where they are when a reload would move them'
conf 'key = k2.key' 'old-key = k1.key' 'textfile = other.prom'
kill -HUP "$pid"
sleep 0.5
expect 'a warning' grep -q 'the metrics stay where they are' shim.log

it 'refuses what is no request for them, and serves meanwhile'
run "$python" "$tools/http-abuse.py" "$msock"
expect_status 0
run client round-trips 3
expect_status 0
run "$tools/scrape.py" "$msock"
expect_status 0

it 'does not let failures fill the log, and says how many there were'
before=$(grep -c '' shim.log)
run "$python" - "$tools" "$sock" <<'EOT'
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("client", sys.argv[1] + "/kms-client.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
client = module.Client(sys.argv[2])
for i in range(500):
    try:
        client.call("v2", "Decrypt", ciphertext=b"x", uid="flood", key_id="none")
        sys.exit("was answered")
    except module.grpc.RpcError:
        pass
EOT
expect_status 0
expect 'not all of them are logged' test "$(($(grep -c '' shim.log) - before))" -lt 200
expect 'some are' test "$(grep -c 'uid=flood' shim.log)" -ge 20
sleep 0.3
run client round-trips 1
expect 'it says how many' grep -q '[0-9]* more calls failed, and were not logged' shim.log
expect 'the figure too' test "$(metric kubetpm_kms_calls_log_suppressed_total)" -gt 200

it 'writes the same to a file, whole at each moment'
expect 'it is there' test -s kms.prom
expect 'for everybody' test "$(stat -c %a kms.prom)" = 644
run "$tools/scrape.py" --file kms.prom
expect_status 0
expect 'nothing of the process, which its reader would take for itself' \
	sh -c '! grep -q ^process_ kms.prom'
stop
expect_status 0
expect 'the last one says that it is over' grep -qx 'kubetpm_kms_healthy 0' kms.prom
expect 'and has what was counted' grep -q '^kmsplugin_encryption_total{result="success"} [1-9]' kms.prom
expect 'nothing else is left' test "$(find . -name '.kubetpm*' | grep -c '')" -eq 0
expect 'nor the socket' test ! -e "$msock"

it 'goes on when the file cannot be written, and says so once'
mkdir gone
conf 'key = k1.key' 'textfile = gone/kms.prom' 'metrics-mode = 0666'
rmdir gone
start
run client round-trips 2
expect_status 0
expect 'once' test "$(grep -c 'textfile: ' shim.log)" -eq 1
expect 'with the mode that it is told' test "$(stat -c %a "$msock")" = 666
stop

it 'takes over the socket of one that was killed, and no other'
conf 'key = k1.key'
start
kill -KILL "$pid"
wait "$pid" 2>/dev/null
expect 'it is still there' test -S "$msock"
start
expect_metric kubetpm_kms_healthy 1
sed "s|$sock|$dir/other.sock|" kms.conf >other.conf
chmod 644 other.conf
run timeout 10 "$shim" --config other.conf --module-dir modules
expect_status 11
expect_err "$msock"
stop

it 'logs all calls, or none, if it is told to'
conf 'key = k1.key' 'log-calls = all'
start
for i in 1 2 3; do
	run client status
done
expect 'each Status' test "$(calls v2.Status)" -eq 3
conf 'key = k1.key' 'log-calls = none'
kill -HUP "$pid"
sleep 0.5
: >shim.log
run client round-trips 2
expect 'nothing' test "$(grep -c 'call method' shim.log)" -eq 0
stop
done_testing
