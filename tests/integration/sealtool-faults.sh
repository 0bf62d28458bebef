#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults: full disk, SIGTERM, SIGKILL, a TPM that is missing, goes away, or has no room.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
must tpm2_pcrextend "11:sha256=$(printf '%064d' 1)"
mkdir files
sealtool seal --name t --purpose exec-credential --pcrs sha256:11 --recovery rec.pub -o files/t.sealed <plain 2>/dev/null

expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}
expect_whole() { # what the folder has, and that the file opens
	expect 'only the file is there' test "$(ls -A files)" = t.sealed
	run sealtool recover --key rec.pem files/t.sealed
	expect_status 0
	expect_out_is "$secret"
}
# Runs a command behind a slow TPM: the proxy waits SECONDS before the TPM answers command number N.
slow_tpm() { # seconds, first command that waits
	"$tools/tpm-proxy.py" "$tpm_dir/tpm" "$tpm_dir/slow" "$1" "$2" >"$tpm_dir/proxy.log" 2>&1 &
	proxy=$!
	tpm_wait_for test -S "$tpm_dir/slow"
}
end_proxy() {
	kill "$proxy" 2>/dev/null
	wait "$proxy" 2>/dev/null
	rm -f "$tpm_dir/slow" "$tpm_dir/slow.ctrl"
}

it 'full disk: reseal fails and keeps the old file'
cp files/t.sealed before
run sh -c 'ulimit -f 1; exec sealtool reseal files/t.sealed'
expect_status 1
expect_one_line
expect_err t.sealed
expect 'the old file' cmp before files/t.sealed
expect_whole
expect_clean

it 'full disk: seal makes no file'
head -c 100000 /dev/urandom >large
run sh -c 'ulimit -f 8; exec sealtool seal --name l --purpose x --recovery rec.pub -o files/l.sealed <large'
expect_status 1
expect_one_line
expect_whole

if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=16k tmpfs small 2>/dev/null; then
	at_exit "umount '$dir/small'"
	it 'full disk, a real one'
	cp files/t.sealed small/t.sealed
	head -c 100000 /dev/zero >small/filler 2>/dev/null
	run sealtool reseal small/t.sealed
	expect_status 1
	expect_err 'o space left'
	expect_one_line
	expect 'the old file' cmp files/t.sealed small/t.sealed
	expect 'nothing else' test "$(ls -A small)" = "$(printf 'filler\nt.sealed')"
	expect_clean
else
	skip 'full disk, a real one' 'no tmpfs can be mounted here'
fi

it 'a folder that cannot be written'
run sealtool seal --name l --purpose x --recovery rec.pub -o nonexistent/l.sealed <plain
expect_status 2
expect_one_line

it 'a link to a sealed file stays a link when it is sealed anew'
ln -s files/t.sealed link.sealed
run sealtool reseal link.sealed
expect_status 0
expect 'still a link' test -L link.sealed
expect_whole

it 'SIGTERM in the middle: dies of it, leaves nothing in the TPM or the folder'
for at in 3 4 5; do
	cp files/t.sealed before
	slow_tpm 1 $at
	run sh -c 'sealtool reseal --tcti "swtpm:path=$1" files/t.sealed & pid=$!
		sleep 0.4; kill -TERM $pid; wait $pid' sh "$tpm_dir/slow"
	expect_status 143
	end_proxy
	expect 'the old file' cmp before files/t.sealed
	expect_whole
	expect_clean
done

it 'SIGINT and SIGHUP too'
for signal in 2:INT 1:HUP; do
	slow_tpm 1 5
	run sh -c 'trap - INT; sealtool unseal --tcti "swtpm:path=$1" files/t.sealed & pid=$!
		sleep 0.4; kill -$2 $pid; wait $pid' sh "$tpm_dir/slow" "${signal#*:}"
	case $signal,$status in
	# A shell's background job may have SIGINT ignored, which has to be respected.
	2:INT,0) ;;
	*) expect_status $((128 + ${signal%:*})) ;;
	esac
	end_proxy
	expect_clean
done

it 'SIGKILL at any moment of a reseal: old file or new one, whole'
for ms in 0 2 4 6 8 10 12 14 16 18 20 25 30 35 40 50; do
	sh -c 'sealtool reseal files/t.sealed & pid=$!
		sleep "$1"; kill -9 $pid; wait $pid' sh "$(printf '0.%03d' $ms)" >/dev/null 2>&1
	flush_tpm
	run sealtool recover --key rec.pem files/t.sealed
	expect_status 0
	expect_out_is "$secret"
	# Killed between giving the new file a name and renaming it, its own name may stay.
	find files -name '.*' -type f -exec rm -f {} +
done
expect_whole

it 'TPM missing'
for tcti in swtpm:path=/nonexistent swtpm:path= device:/nonexistent nonsense 'nonsense:x' \
	"swtpm:path=$dir/plain"; do
	run sealtool unseal --tcti "$tcti" files/t.sealed
	expect_status 4
	expect_one_line
	expect_no_out
	run sealtool init --tcti "$tcti"
	expect_status 4
	expect_one_line
done

it 'TPM gone in the middle'
for at in 1 2 3 4 5; do
	slow_tpm gone $at
	run sealtool unseal --tcti "swtpm:path=$tpm_dir/slow" files/t.sealed
	expect_status 4
	expect_one_line
	expect_nowhere "$secret"
	end_proxy
	flush_tpm
done
cp files/t.sealed before
slow_tpm gone 5
run sealtool reseal --tcti "swtpm:path=$tpm_dir/slow" files/t.sealed
expect_status 4
end_proxy
flush_tpm
expect 'the old file' cmp before files/t.sealed
expect_whole

it 'TPM answers garbage'
for at in 2 4 5; do
	slow_tpm garbage $at
	run sealtool unseal --tcti "swtpm:path=$tpm_dir/slow" files/t.sealed
	expect "status $status" sh -c "case $status in 4|8) ;; *) false ;; esac"
	expect_nowhere "$secret"
	end_proxy
	flush_tpm
done

it 'an answer that was changed on the bus is refused'
slow_tpm flip 5
run sealtool unseal --tcti "swtpm:path=$tpm_dir/slow" files/t.sealed
expect_status 8
expect_no_out
expect_nowhere "$secret"
end_proxy
flush_tpm

it 'TPM out of sessions: busy, and says what to do'
must "$tools/tpm-fill.py" "$tpm_dir/tpm" sessions
expect_out 0x903
run sealtool unseal files/t.sealed
expect_status 11
expect_one_line
expect_err 'session'
flush_tpm
run sealtool unseal files/t.sealed
expect_status 0

it 'TPM out of object slots'
must "$tools/tpm-fill.py" "$tpm_dir/tpm" objects
expect_out 0x902
run sealtool unseal files/t.sealed
expect_status 11
expect_one_line
flush_tpm
run sealtool unseal files/t.sealed
expect_status 0
expect_clean

it 'a PCR that is extended again and again does not end in a wrong answer'
(while :; do tpm2_pcrextend "23:sha256=$(printf '%064d' 1)" >/dev/null 2>&1 || sleep 0.01; done) &
extender=$!
for n in 1 2 3 4 5; do
	run sealtool unseal files/t.sealed
	expect "status $status" sh -c "case $status in 0|11) ;; *) false ;; esac"
	[ "$status" -ne 0 ] || expect_out_is "$secret"
done
kill "$extender"
wait "$extender" 2>/dev/null
sleep 0.2
expect_clean

thirty_at_once() {
	rm -rf answers pids
	mkdir answers
	for n in $(seq 30); do
		sealtool unseal files/t.sealed >"answers/$n" 2>"answers/$n.err" &
		echo $! >>pids
	done
	while read -r pid; do
		wait "$pid" || echo "$pid: $?" >>answers/failed
	done <pids
	expect 'none failed' test ! -e answers/failed
	expect 'all the same' test \
		"$(cat answers/[0-9] answers/[0-9][0-9] | sed "s/$secret/x/g")" = \
		"$(head -c 30 /dev/zero | tr '\0' x)"
}

# The resource manager's own limit of 27 connections stays as it comes.
it 'thirty at once all answer, through a resource manager'
must start_abrmd
thirty_at_once

it 'and on the bare socket, where each waits its turn'
stop_abrmd
thirty_at_once

it 'nothing is left in the TPM'
expect_clean

done_testing
