#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exec-plugin as the kubelet starts it: one request on standard input. No TPM: the modules are fixtures. The
# answer is checked as strictly as the kubelet decodes it.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
umask 022
unset KUBERNETES_EXEC_INFO
mkdir modules profiles
cp "$BUILD"/fixtures/answer.so modules
chmod 644 modules/*
profile() {
	cat >profiles/default
}
plugin() {
	"$exec_plugin" --profile-dir profiles --module-dir modules
}
# ask_for IMAGE
ask_for() {
	printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"%s"}' \
		"$1" >request
	run plugin <request
}
# Only known fields, none twice, each of its type.
expect_strict() {
	expect 'strictly decodable' python3 - "$out" <<'EOT'
import json, re, sys
def once(pairs):
    assert len(dict(pairs)) == len(pairs), "doubled field"
    return dict(pairs)
text = open(sys.argv[1], encoding="utf-8").read()
j = json.loads(text, object_pairs_hook=once)
assert text.endswith("}\n") and text.count("\n") == 1
assert set(j) == {"kind", "apiVersion", "cacheKeyType", "cacheDuration", "auth"}, set(j)
assert j["kind"] == "CredentialProviderResponse"
assert j["cacheKeyType"] in ("Image", "Registry", "Global")
assert re.fullmatch(r"([0-9]+h)?([0-9]+m)?[0-9]+s", j["cacheDuration"])
for entry in j["auth"].values():
    assert set(entry) == {"username", "password"}
    assert all(isinstance(v, str) for v in entry.values())
EOT
}

profile <<'EOT'
sufficient answer result=ok registry=registry.example.com password=s3cr3t
EOT
for file in "$top"/tests/data/exec/kubelet-*.json; do
	it "answers $(basename "$file") in kind"
	run plugin <"$file"
	expect_status 0
	expect_no_err
	expect_strict
	expect_json "j['apiVersion']" "$(json "j['apiVersion']" "$file")"
	expect_json "j['auth']" \
		'{"registry.example.com": {"username": "user", "password": "s3cr3t"}}'
	expect_json "j['cacheKeyType']" Registry
	expect_json "j['cacheDuration']" 10m0s
done

it 'says so when nobody has the image'
ask_for other.example.com/team/app
expect_status 0
expect_strict
expect_json "j['auth']" '{}'
expect_json "j['cacheDuration']" 0s
expect_no_err

profile <<'EOT'
optional answer result=ok registry=*.example.com password=wild
optional answer result=ok registry=a.example.com/team password=path
optional answer result=ok registry=a.example.com/other password=elsewhere
optional answer result=ok registry=a.example.com:5000 password=port
optional answer result=ok registry=a.example.com/team password=again
optional answer result=ok registry=index.docker.io password=hub
EOT
it 'gives all that match, each once'
ask_for a.example.com/team/app
expect_status 0
expect_strict
expect_json "{k: v['password'] for k, v in j['auth'].items()}" \
	'{"*.example.com": "wild", "a.example.com/team": "path"}'
expect_json "j['cacheKeyType']" Image

it 'caches by registry only where no path is involved'
ask_for b.example.com/app
expect_json "list(j['auth'])" '["*.example.com"]'
expect_json "j['cacheKeyType']" Registry

it 'wants equal ports'
ask_for a.example.com:5000/team/app
expect_json "list(j['auth'])" '["a.example.com:5000"]'

it 'gives the default registry to unqualified images'
for image in nginx library/nginx docker.io/library/nginx; do
	ask_for "$image"
	expect_json "list(j['auth'])" '["index.docker.io"]'
done

it 'takes the cache that a module asks for'
profile <<'EOT'
optional answer result=ok registry=r.io password=p cache=Global
EOT
ask_for r.io/a
expect_strict
expect_json "j['cacheKeyType']" Global
expect_json "j['cacheDuration']" 1m30s

it 'fails, and does not say that there is nothing, when a module fails'
profile <<'EOT'
sufficient answer result=unavailable code=4 say=no-TPM-here
EOT
ask_for r.io/a
expect_status 4
expect_err 'no-TPM-here'
expect_one_line
expect_no_out

it 'lets an optional module fail for an image that nobody has, and tells'
profile <<'EOT'
optional answer result=unavailable code=4 say=no-TPM-here
sufficient answer result=pass
EOT
ask_for r.io/a
expect_status 0
expect_strict
expect_json "j['auth']" '{}'
expect_json "j['cacheDuration']" 0s
expect_err 'warning: answer: no-TPM-here'
expect_one_line

it 'forgets how a failed module wanted it cached'
profile <<'EOT'
optional answer result=denied registry=r.io password=p cache=Image code=3
optional answer result=ok registry=*.io password=q
EOT
ask_for r.io/a
expect_status 0
expect_json "j['cacheKeyType']" Registry
expect_json "j['cacheDuration']" 10m0s
expect_json "list(j['auth'])" '["*.io"]'

it 'fails when a gate is shut'
profile <<'EOT'
requisite answer result=denied code=3 say=PCR-7
optional answer result=ok registry=r.io password=s3cr3t
EOT
ask_for r.io/a
expect_status 3
expect_no_out
expect_nowhere s3cr3t

profile <<'EOT'
optional answer result=ok registry=r.io password=p
EOT
n=0
while IFS= read -r request; do
	n=$((n + 1))
	it "refuses malformed requests, number $n"
	printf '%s\n' "$request" >request
	run plugin <request
	expect_status 5
	expect_err 'standard input'
	expect_one_line
	expect_no_out
	expect_nowhere hunter2
done <<'EOT'

x
{}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v2","image":"a","serviceAccountToken":"hunter2"}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","serviceAccountToken":"hunter2"}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":""}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a","image":"b"}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a","serviceAccountToken":"hunter2"
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"https://hunter/a","serviceAccountToken":"hunter2"}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a","serviceAccountToken":["hunter2"]}
{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a","serviceAccountAnnotations":{"a":1},"serviceAccountToken":"hunter2"}
{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}
EOT

it 'refuses a request that is too long, and does not read on'
head -c 1100000 /dev/zero | tr '\0' ' ' >request
run plugin <request
expect_status 5
expect_one_line
ran='exec-plugin < /dev/zero'
run timeout 20 "$exec_plugin" --profile-dir profiles --module-dir modules </dev/zero
expect_status 5

it 'takes a long request that is just short enough'
{
	printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"r.io/a","x":"'
	head -c 1000000 /dev/zero | tr '\0' x
	printf '"}'
} >request
run plugin <request
expect_status 0
expect_strict

it 'waits for the end of a request that comes in pieces'
{
	printf '{"kind":"CredentialProviderRequest",'
	sleep 0.3
	printf '"apiVersion":"credentialprovider.kubelet.k8s.io/v1",'
	sleep 0.3
	printf '"image":"r.io/a"}'
} | plugin >"$out" 2>"$err"
status=$?
ran='exec-plugin, slowly'
expect_status 0
expect_strict

done_testing
