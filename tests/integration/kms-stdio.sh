#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms-shim --stdio with a toy module: what a script that pipes requests into it sees. No TPM.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
kms_shim=$STAGE/usr/libexec/kubetpm/kms-shim
mkdir modules conf
cp "$BUILD/fixtures/kms-good.so" "$BUILD/fixtures/good.so" modules
chmod 644 modules/*
echo first-key >conf/k1.key
echo second-key >conf/k2.key
conf() {
	{
		printf 'module = kms-good\ncluster = prod\nfaults = fault\n'
		cat
	} >conf/kms.conf
}
# The key k1 alone, and no fault.
plain_conf() {
	conf <<'EOT'
key = k1.key
listen = unix:///nonexistent/kms.sock
EOT
	: >conf/fault
}
# ask LINE...: one request a line
ask() {
	printf '%s\n' "$@" >requests
	run "$kms_shim" --config conf/kms.conf --module-dir modules --stdio <requests
}
# line N: the Nth reply, in a file of its own
line() {
	sed -n "$1p" "$out" >reply
	echo reply
}
encrypt='{"method":"Encrypt","uid":"u1","plaintext":"aGVsbG8="}'
ping='{"method":"Status"}'
# decrypt FILE: the request that opens what is in FILE, a reply to Encrypt
decrypt() {
	json 'json.dumps({**j, "method": "Decrypt", "uid": "u2"})' "$1"
}
plain_conf

it 'answers Status'
ask "$ping"
expect_status 0
expect_json "sorted(j)" '["healthz", "keyId", "version"]'
expect_json "j['version']" v2
expect_json "j['healthz']" ok
expect_json "j['keyId'][:7], len(j['keyId'])" '["sha256:", 71]'
expect_no_err
first_id=$(json "j['keyId']")

it 'opens in a later run what it encrypted'
ask "$encrypt" "$encrypt"
expect_status 0
expect_json "sorted(j)" '["annotations", "ciphertext", "keyId"]' "$(line 1)"
expect_json "j['keyId']" "$first_id" reply
cp reply first
cp "$(line 2)" second
expect 'two encryptions differ' sh -c '! cmp -s first second'
ask "$(decrypt first)" "$(decrypt second)"
expect_status 0
expect_out_is '{"plaintext":"aGVsbG8="}
{"plaintext":"aGVsbG8="}
'
expect_no_err

it 'answers bad lines with an error and serves the next'
ask 'nonsense' '' '{"method":"Rotate"}' '{"method":"Encrypt","plaintext":"!"}' "$ping"
expect_status 0
expect 'five replies' [ "$(grep -c '' "$out")" -eq 5 ]
expect_json "j['error']['code']" INVALID_ARGUMENT "$(line 1)"
expect_json "j['error']['code']" INVALID_ARGUMENT "$(line 2)"
expect_json "j['error']['code']" UNIMPLEMENTED "$(line 3)"
expect_json "j['error']['code']" INVALID_ARGUMENT "$(line 4)"
expect_json "j['healthz']" ok "$(line 5)"

it 'skips an over-long line'
{
	head -c 1000000 /dev/zero | tr '\0' 'x'
	printf '\n%s' "$ping"
} >requests
run "$kms_shim" --config conf/kms.conf --module-dir modules --stdio <requests
expect_status 0
expect 'two replies' [ "$(grep -c '' "$out")" -eq 2 ]
expect_json "j['error']['code']" INVALID_ARGUMENT "$(line 1)"
expect_json "j['healthz']" ok "$(line 2)"

it 'has nothing to say to nothing'
run "$kms_shim" --config conf/kms.conf --module-dir modules --stdio </dev/null
expect_status 0
expect_no_out

it 'refuses what was changed'
ask "$(json 'json.dumps({**j, "method": "Decrypt", "ciphertext": "AAAAAAAAAAAA"})' first)" \
	"$(json 'json.dumps({**j, "method": "Decrypt", "annotations": {}})' first)" \
	"$(json 'json.dumps({**j, "method": "Decrypt", "keyId": "sha256:0"})' first)"
expect_status 0
expect_json "j['error']['message']" 'kms-good: the record was changed, or is another key'"'"'s' "$(line 1)"
expect_json "j['error']['code']" INVALID_ARGUMENT "$(line 2)"
expect_json "j['error']['message'].split(';')[0]" 'no key here has the key_id sha256:0' "$(line 3)"

it 'fails closed while the module says no, and recovers'
for fault in denied:FAILED_PRECONDITION unavailable:UNAVAILABLE speechless:PERMISSION_DENIED; do
	echo "${fault%:*}" >conf/fault
	ask "$ping" "$encrypt" "$(decrypt first)"
	expect_status 0
	for n in 1 2 3; do
		expect_json "j['error']['code']" "${fault#*:}" "$(line $n)"
	done
done
: >conf/fault
ask "$ping"
expect_json "j['healthz']" ok

it 'gives out nothing that an API server would refuse'
for fault in empty long slash many large; do
	echo "$fault" >conf/fault
	ask "$encrypt"
	expect_status 0
	expect_json "j['error']['code']" INTERNAL
done
echo nothing >conf/fault
ask "$(decrypt first)"
expect_json "j['error']['code']" INTERNAL

it 'keeps what a module prints out of the replies'
echo print >conf/fault
ask "$ping"
expect_status 0
expect 'one reply' [ "$(grep -c '' "$out")" -eq 1 ]
expect_json "j['healthz']" ok
expect_err 'rude words'
plain_conf

it 'rotates: a new key encrypts, an old one still opens'
conf <<'EOT'
key = k2.key
old-key = k1.key
EOT
ask "$ping" "$encrypt" "$(decrypt first)"
second_id=$(json "j['keyId']" "$(line 1)")
expect 'another key_id' [ "$second_id" != "$first_id" ]
expect_json "j['keyId']" "$second_id" "$(line 2)"
expect_json "j['plaintext']" aGVsbG8= "$(line 3)"
cp "$(line 2)" third
conf <<'EOT'
key = k1.key
epoch = 1
old-key = k2.key
old-key = k1.key 0
EOT
ask "$ping" "$(decrypt first)" "$(decrypt third)"
expect 'a key that comes back has a third key_id' \
	sh -c "! grep -q -e '$first_id' -e '$second_id' '$(line 1)'"
expect_json "j['plaintext']" aGVsbG8= "$(line 2)"
expect_json "j['plaintext']" aGVsbG8= "$(line 3)"
conf <<'EOT'
key = k2.key
EOT
ask "$(decrypt first)"
expect_json "j['error']['code']" INVALID_ARGUMENT
expect_out "$first_id"

it 'tells the version that old API servers want'
conf <<'EOT'
key = k1.key
version = v2beta1
EOT
ask "$ping"
expect_json "j['version']" v2beta1
expect_json "j['keyId']" "$first_id"

# A running one: requests go to descriptor 3, replies to `replies`.
start() {
	rm -f fifo
	mkfifo fifo
	: >replies
	"$kms_shim" --config conf/kms.conf --module-dir modules --stdio <fifo >replies 2>errors &
	pid=$!
	exec 3>fifo
}
# Waits until FILE has N lines.
wait_lines() {
	for _ in $(seq 100); do
		[ "$(grep -c '' "$2")" -lt "$1" ] || return 0
		sleep 0.05
	done
	wrong "$2 has not $1 lines: $(cat "$2")"
}

it 'reloads on SIGHUP, and keeps a good configuration when the new one is bad'
plain_conf
start
echo "$ping" >&3
wait_lines 1 replies
conf <<'EOT'
key = nowhere.key
EOT
kill -HUP "$pid"
wait_lines 1 errors
expect 'says why' grep -q 'stays as it was: .*nowhere.key' errors
echo "$ping" >&3
wait_lines 2 replies
conf <<'EOT'
key = k2.key
old-key = k1.key
listen = unix:///nonexistent/kms.sock
EOT
kill -HUP "$pid"
sleep 0.2
echo "$ping" >&3
decrypt first >&3
wait_lines 4 replies
exec 3>&-
status_of=0
wait "$pid" || status_of=$?
expect 'ends well' [ "$status_of" -eq 0 ]
cp replies "$out"
expect_json "j['keyId']" "$first_id" "$(line 1)"
expect_json "j['keyId']" "$first_id" "$(line 2)"
expect_json "j['keyId']" "$second_id" "$(line 3)"
expect_json "j['plaintext']" aGVsbG8= "$(line 4)"

it 'ends by SIGTERM'
plain_conf
start
echo "$ping" >&3
wait_lines 1 replies
kill -TERM "$pid"
status_of=0
wait "$pid" || status_of=$?
exec 3>&-
expect 'killed by it' [ "$status_of" -eq 143 ]

it 'takes paths from where the configuration lies, not from where it runs'
mkdir elsewhere
(cd elsewhere && echo "$ping" | "$kms_shim" --config ../conf/kms.conf --module-dir ../modules --stdio) >"$out"
expect_json "j['keyId']" "$first_id"

it 'never logs a plaintext'
echo "$encrypt" >requests
run "$kms_shim" --config conf/kms.conf --module-dir modules --stdio --verbose <requests
expect_status 0
expect_err 'opened'
expect_nowhere hello
expect 'not encoded either' sh -c "! grep -q aGVsbG8 '$err'"

# refused STATUS MESSAGE: ends before it answers anything
refused() {
	ask "$ping"
	expect_status "$1"
	expect_err "$2"
	expect_one_line
	expect_no_out
}
it 'refuses a configuration as a whole'
echo 'nonsense' | conf
refused 2 'kms.conf:4: "nonsense" is not name = value'
echo 'listen = unix:///x' | conf
refused 2 'key = FILE'
printf 'key = k1.key\nword2 = x\n' | conf
refused 2 'kms.conf:5: neither kms-shim nor module kms-good knows "word2"'
printf 'key = k1.key\nold-key = k1.key\n' | conf
refused 2 'kms.conf:5: this key, with this epoch, was named before'
printf 'key = k1.key\nold-key = nowhere.key\n' | conf
refused 2 'kms.conf:5: kms-good: '
printf 'cluster = c\nkey = k1.key\nmodule = good\n' >conf/kms.conf
refused 2 'module good serves no keys'
printf 'cluster = c\nkey = k1.key\nmodule = kms-nowhere\n' >conf/kms.conf
refused 2 'no module kms-nowhere'
plain_conf
chmod g+w conf/kms.conf
refused 8 'kms.conf'
chmod g-w conf/kms.conf

it 'says what is missing on its command line'
run "$kms_shim" --stdio </dev/null
expect_status 2
expect_err '--config'
echo 'key = k1.key' | conf
run "$kms_shim" --config conf/kms.conf --module-dir modules </dev/null
expect_status 2
expect_err 'no "listen = unix:///PATH"'
run "$kms_shim" --config nowhere.conf --stdio </dev/null
expect_status 2
expect_err 'nowhere.conf'

done_testing
