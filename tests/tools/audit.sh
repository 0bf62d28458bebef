# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034,SC2120 # out, err, dir and tools are tap.sh's, and so is ran
#
# For tests of the audit log: source this after tap.sh, swtpm.sh and stdio-shim.sh.
#
#	encrypt UID; decrypt UID FILE; decrypt_many N FILE	through kms-shim
#	verify [OPTION...] LOG...	audit-verify, and the second opinion of tests/tools/audit-verify.py
#	expect_finding ID		the last verify had it; expect_only ID...: these and no others
#	audit_set_up			storage key, log audit.log, ak.pub, k1.key, ca.key, ca.crt, audited.conf
#	interrupt HOW CC ID...	kms-shim is killed at that TPM command (lose, swallow: tpm-proxy.py), and started again:
#				what the log has then. With mid.conf, fresh_log and examine of the test
#	lines LOG			how many

encrypt() {
	ask "{\"method\":\"Encrypt\",\"uid\":\"$1\",\"plaintext\":\"$plaintext\"}"
}
decrypt() {
	ask "$(python3 -c '
import json, sys
j = json.load(open(sys.argv[2], encoding="utf-8"))
print(json.dumps(dict(j, method="Decrypt", uid=sys.argv[1])))' "$1" "$2")"
}
# decrypt_many N FILE: N times, without waiting for each
decrypt_many() {
	python3 -c '
import json, sys
j = json.load(open(sys.argv[2], encoding="utf-8"))
for i in range(int(sys.argv[1])):
    print(json.dumps(dict(j, method="Decrypt", uid="many-%d" % i)))' "$1" "$2" >&3
	asked=$((asked + $1))
	await_replies 60
}
# What both verifiers find must be the same; the last stdout is audit-verify's.
verify() {
	run audit-verify --json "$@"
	cp "$out" "$dir/first.json"
	verify_status=$status
	verify_twin "$@"
	cp "$dir/first.json" "$out"
	status=$verify_status
}
verify_twin() {
	# Options of ours that the other one does not have.
	verify_args=
	while [ $# -gt 0 ]; do
		case $1 in
		--state | --threads | --join)
			[ "$1" = --join ] || [ "$1" = --threads ] || return 0
			shift
			;;
		*) verify_args="$verify_args $1" ;;
		esac
		shift
	done
	twin=0
	# shellcheck disable=SC2086 # words
	python3 "$tools/audit-verify.py" $verify_args >"$dir/second.json" 2>"$dir/second.err" || twin=$?
	[ "$twin" -eq "$verify_status" ] || {
		wrong "audit-verify.py ends with $twin"
		head -c 1000 "$dir/second.json" "$dir/second.err" | sed 's/^/#   /'
	}
	python3 -c '
import json, sys
a, b = (json.load(open(f, encoding="utf-8")) for f in sys.argv[1:3])
pick = lambda j: ({k: j[k] for k in ("verdict", "entries", "encryptions", "decryptions", "redone", "certificates",
                                     "checkpoints")}, sorted((f["id"], f["line"]) for f in j["findings"]))
if pick(a) != pick(b):
    sys.exit("%s\n%s" % (pick(a), pick(b)))' "$dir/first.json" "$dir/second.json" >"$dir/differ" 2>&1 || {
		wrong 'audit-verify.py sees something else'
		head -c 2000 "$dir/differ" | sed 's/^/#   /'
	}
}
expect_finding() {
	expect_json "'$1' in [f['id'] for f in j['findings']]" true
}
expect_only() {
	expect_json "sorted(set(f['id'] for f in j['findings'])) == sorted('$*'.split())" true
}
expect_complete() {
	expect_status 0
	expect_json 'j["verdict"]' complete
	expect_json 'j["findings"]' '[]'
}

csr() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.pem" \
		-subj "/O=system:nodes/CN=system:node:$1" -out "$1.csr" 2>/dev/null
}
sign() {
	sealtool sign-cert --key ca.key --ca ca.crt --csr "$1" --days 30 --audit audit.log -o "$2"
}

audit_configure() {
	printf '%s\n' 'module = kms-tpm' 'cluster = prod' 'key = k1.key' >plain.conf
	{
		cat plain.conf
		echo 'audit = audit.log'
	} >audited.conf
	chmod 600 ./*.conf
}
audit_set_up() {
	must sealtool init
	must sealtool audit init --log audit.log --ak-out ak.pub "$@"
	must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
	must sealtool key new --type p256 -o ca.key
	audit_configure
}
make_ca() {
	must sealtool sign-cert --key ca.key --self-signed --subject '/O=example/CN=node CA' --days 3650 \
		--audit audit.log -o ca.crt
	csr n1
}
interrupt() {
	cut_how=$1
	cut_code=$2
	shift 2
	fresh_log
	start_shim mid.conf
	decrypt c-1 made.json
	expect_plaintext
	order "$cut_how $cut_code $shim"
	decrypt c-2 made.json
	kill_shim
	order
	start_shim mid.conf
	decrypt c-3 made.json
	expect_plaintext
	stop_shim
	examine audit.log
	expect_only "$@"
}
