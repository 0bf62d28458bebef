#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The files of examples/ as they stand, with nothing changed but the folders they name: real kubectl against
# a TLS server, and what the kubelet would run.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022

must start_tpm
must sealtool init
mkdir -p etc/kubetpm/exec.d
profiles=$dir/etc/kubetpm/exec.d
must tpm2_pcrextend "7:sha256=$(printf '%064d' 7)" "11:sha256=$(printf '%064d' 11)"
cp "$top/examples/profile.conf" "$profiles/default"
cp "$top/examples/profile-registry.conf" "$profiles/registry"
sealtool pcrs --pcrs sha256:7,11 --json >"$profiles/state.json"
# seal FILE PURPOSE < SECRET
seal() {
	must sealtool seal --name "$1" --purpose "$2" --pcrs sha256:7,11 -o "$profiles/$1.sealed"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem \
	-days 30 -subj /CN=node 2>/dev/null
cat cert.pem key.pem | seal node exec-credential
openssl rand -hex 20 >bearer
seal token exec-credential <bearer
printf '{"auths":{"https://index.docker.io/v1/":{"auth":"%s"},"registry.example.com":{"auth":"%s"}}}' \
	"$(printf hub:pw-hub | base64)" "$(printf me:pw-me | base64)" | seal docker image-credential
printf pw-team | seal team image-credential
info=$(cat "$top/tests/data/exec/kubectl-v1.json")

it 'profile.conf: gives the certificate behind the gate'
run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir "$profiles" </dev/null
expect_status 0
expect_json "list(j['status'])" \
	'["expirationTimestamp", "clientCertificateData", "clientKeyData"]'

it 'profile.conf: falls back on the token'
mv "$profiles/node.sealed" away
run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir "$profiles" </dev/null
expect_status 0
expect_json "j['status']['token']" "$(cat bearer)"

# What the kubelet would start: the provider's name in its folder of plugins, with the args.
provider=$top/examples/credential-provider-config.yaml
plugin=$STAGE/usr/libexec/kubetpm/$(sed -n 's/^- name: //p' "$provider")
args=$(sed -n 's/^  args: \[\(.*\)\]$/\1/p' "$provider" | tr -d , |
	sed "s|/etc/kubetpm|$dir/etc/kubetpm|")
# ask_for IMAGE
ask_for() {
	printf '{"kind":"CredentialProviderRequest","apiVersion":"%s","image":"%s"}' \
		"$(sed -n 's/^  apiVersion: //p' "$provider")" "$1" >request
	# shellcheck disable=SC2086 # words
	run env -u KUBERNETES_EXEC_INFO "$plugin" $args <request
}
it 'credential-provider-config.yaml: each registry gets its own'
ask_for registry.example.com/app
expect_status 0
expect_json "j['auth']['registry.example.com']['password']" pw-me
ask_for docker.io/library/nginx
expect_json "j['auth']['index.docker.io']['username']" hub
ask_for a.registry.example.com:5000/team/app
expect_json "j['auth']" \
	'{"*.registry.example.com:5000/team": {"username": "puller", "password": "pw-team"}}'
ask_for quay.io/x
expect_status 0
expect_json "j['auth']" '{}'

it 'kuberc.yaml: allows what kubeconfig.yaml names'
kubeconfig=$top/examples/kubeconfig.yaml
expect 'the same command' [ "$(sed -n 's/^ *command: //p' "$kubeconfig")" = \
	"$(sed -n 's/^- command: //p' "$top/examples/kuberc.yaml")" ]

if ! command -v kubectl >/dev/null; then
	skip 'kubeconfig.yaml: kubectl reaches a server with it' 'no kubectl here'
	skip 'kubeconfig.yaml: kubectl tells why it cannot' 'no kubectl here'
	done_testing
fi
# kubectl 1.22 and later read both, earlier ones v1beta1 only, and 1.24 and later v1 only when asked.
minor=$(kubectl version --client -o json 2>/dev/null |
	sed -n 's/.*"gitVersion": *"v1\.\([0-9]*\).*/\1/p' | head -n 1)
[ "${minor:-99}" -ge 22 ] || kubeconfig=$top/examples/kubeconfig-v1beta1.yaml
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out ca.pem \
	-subj /CN=kube-apiserver -addext subjectAltName=IP:127.0.0.1 -days 1 2>/dev/null
"$tools/https-server.py" --cert ca.pem --key server.key --token-file bearer >port 2>server.log &
server=$!
at_exit "kill $server 2>/dev/null"
must tpm_wait_for test -s port
for file in "$kubeconfig" "$top/examples/kubeconfig-v1beta1.yaml"; do
	it "$(basename "$file"): kubectl reaches a server with it"
	sed -e "s|/usr/libexec|$STAGE/usr/libexec|; s|/etc/kubetpm|$dir/etc/kubetpm|" \
		-e "s|server: .*|server: https://127.0.0.1:$(cat port)|" \
		-e "s|certificate-authority: .*|certificate-authority: $dir/ca.pem|" "$file" >config
	run kubectl --kubeconfig config get namespace default
	expect_status 0
	expect_out default
	expect_nowhere "$(cat bearer)"
done

it 'kubeconfig.yaml: kubectl tells why it cannot'
must tpm2_pcrextend "11:sha256=$(printf '%064d' 1)"
run kubectl --kubeconfig config get namespace default
expect 'kubectl fails' [ "$status" -ne 0 ]
expect_err 'PCR 11 (sha256): expected'
expect_err 'failed with exit code 3'
expect_nowhere "$(cat bearer)"

done_testing
