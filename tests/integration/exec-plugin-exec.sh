#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exec-plugin as kubectl starts it: what real clients sent (tests/data/exec), what no client should send, and
# descriptors that are not there. No TPM: the modules are fixtures.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
mkdir modules profiles
cp "$BUILD"/fixtures/answer.so "$BUILD"/fixtures/rude.so modules
chmod 644 modules/*
echo 'sufficient answer result=ok token=s3cr3t' >profiles/default

cat >plugin <<EOT
#!/bin/sh
exec "$exec_plugin" --profile-dir profiles --module-dir modules "\$@"
EOT
chmod +x plugin
# ask INFO [OPTION...]
ask() {
	info=$1
	shift
	run env "KUBERNETES_EXEC_INFO=$info" ./plugin "$@" </dev/null
}
v1=$(cat "$top/tests/data/exec/kubectl-v1.json")

for file in "$top"/tests/data/exec/kubectl-*.json; do
	it "answers $(basename "$file") in kind"
	ask "$(cat "$file")"
	expect_status 0
	expect_no_err
	expect_json "j['apiVersion']" "$(json "j['apiVersion']" "$file")"
	expect_json "sorted(j)" '["apiVersion", "kind", "status"]'
	expect_json "j['kind']" ExecCredential
	expect_json "j['status']" '{"token": "s3cr3t"}'
	expect 'one line' [ "$(grep -c '' "$out")" -eq 1 ]
done

it 'does without spec, as old clients send it'
ask '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{}}'
expect_status 0
expect_json "j['apiVersion']" client.authentication.k8s.io/v1beta1

it 'says the same bytes each time'
ask "$v1"
cp "$out" first
ask "$v1"
expect_out_same first

it 'prints a time that lies ahead, from the end of the credential'
echo "sufficient answer result=ok token=t not-after=$(($(date +%s) + 5))" >profiles/soon
ask "$v1" --profile soon
expect_status 0
soon=$(date -u -d "$(json "j['status']['expirationTimestamp']")" +%s)
expect 'a minute ahead' [ "$soon" -ge $(($(date +%s) + 50)) ]

it 'refuses a credential that has expired'
echo 'sufficient answer result=ok token=s3cr3t not-after=1700000000' >profiles/late
ask "$v1" --profile late
expect_status 8
expect_err 'expired at 2023-11-14T22:13:20Z'
expect_one_line
expect_no_out

n=0
while IFS= read -r info; do
	n=$((n + 1))
	it "refuses malformed KUBERNETES_EXEC_INFO, number $n"
	ask "$info"
	expect_status 5
	expect_err 'KUBERNETES_EXEC_INFO'
	expect_one_line
	expect_no_out
done <<'EOT'

null
[]
{}
{"kind":"ExecCredential"}
{"kind":"Pod","apiVersion":"client.authentication.k8s.io/v1"}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1"}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":"none"}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":"yes"}}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","apiVersion":"client.authentication.k8s.io/v1"}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"certificate-authority-data":"***"}}}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}{}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}
EOT

it 'names the versions that it speaks'
ask '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v9"}'
expect_status 5
expect_err 'client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1'

it 'refuses control characters in a message'
ask "$(printf '{"kind":"\\u001b[2J","apiVersion":"x"}')"
expect_status 5
expect 'no escape on the terminal' sh -c "! grep -q '$(printf '\033')' '$err'"

it 'is a usage error without anything to answer'
run ./plugin </dev/null
expect_status 2
expect_err 'KUBERNETES_EXEC_INFO'
expect_one_line
expect_no_out

if has_terminals; then
	it 'does not wait at a terminal'
	on_terminal ./plugin
	expect_status 2
	expect_out 'standard input is a terminal'
else
	skip 'does not wait at a terminal' 'no terminals here'
fi

it 'says when standard input cannot be read'
run ./plugin <.
expect_status 1
expect_err 'standard input'
expect_one_line

it 'does without standard input'
run env "KUBERNETES_EXEC_INFO=$v1" ./plugin <&-
expect_status 0
expect_json "j['status']['token']" s3cr3t

it 'fails without standard output'
KUBERNETES_EXEC_INFO=$v1
export KUBERNETES_EXEC_INFO
ran='exec-plugin >&-'
status=0
./plugin </dev/null 2>"$err" >&- || status=$?
: >"$out"
expect_status 1
expect_one_line
expect_nowhere s3cr3t

it 'fails when the disk is full'
ran='exec-plugin >/dev/full'
status=0
./plugin </dev/null 2>"$err" >/dev/full || status=$?
expect_status 1
expect_err 'standard output'
expect_one_line
expect_nowhere s3cr3t

it 'works without standard error'
ran='exec-plugin 2>&-'
status=0
./plugin </dev/null >"$out" 2>&- || status=$?
expect_status 0
expect_json "j['status']['token']" s3cr3t
unset KUBERNETES_EXEC_INFO

it 'keeps what a module prints away from standard output'
echo 'sufficient rude' >profiles/rude
ask "$v1" --profile rude
expect_status 0
expect_json "j['status']['token']" rude-token
expect 'one line' [ "$(grep -c '' "$out")" -eq 1 ]
expect_err 'RUDE in constructor'
expect_err 'RUDE in credential'
expect_err 'RUDE and left in a buffer'
expect 'nothing rude on stdout' sh -c "! grep -q RUDE '$out'"

it 'lends standard input to nobody'
run env "KUBERNETES_EXEC_INFO=$v1" ./plugin --profile rude <<'EOT'
not for modules
EOT
expect_status 0

it 'answers thirty at once'
i=0
while [ "$i" -lt 30 ]; do
	i=$((i + 1))
	KUBERNETES_EXEC_INFO=$v1 ./plugin </dev/null >"many.$i" 2>&1 &
done
wait
ran='thirty copies'
for file in many.*; do
	expect "$file" cmp -s "$file" first
done

it 'answers with certificate and key, and a token beside them'
cat >profiles/both <<'EOT'
required answer result=ok certificate=CERT key=KEY
required answer result=ok token=T
EOT
ask "$v1" --profile both
expect_status 0
expect_json "j['status']" \
	'{"token": "T", "clientCertificateData": "CERT", "clientKeyData": "KEY"}'

it 'answers with both or neither of certificate and key'
echo 'required answer result=ok token=T certificate=CERT' >profiles/half
ask "$v1" --profile half
expect_status 1
expect_no_out

it 'prints its version and its help on standard output'
run ./plugin --version
expect_status 0
expect 'a version' [ -s "$out" ]
run ./plugin --help
expect_status 0
expect_out '--profile-dir DIR'
run ./plugin --no-such-option
expect_status 2
expect_one_line

done_testing
