#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh (make demo) - a token that is sealed to a TPM reaches a real kubectl through exec-plugin, until
# a PCR changes. On a private software TPM, in a folder of its own; nothing is left behind. What it
# runs it prints first, after a $.
# shellcheck disable=SC2016 # show() expands what is quoted
set -eu
umask 022
cd "$(dirname "$0")/.."
top=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
demo=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX")
# shellcheck source=tests/tools/swtpm.sh
. "$top/tests/tools/swtpm.sh"
server=
leave() {
	status=$?
	trap - EXIT
	[ -z "$server" ] || tpm_end "$server"
	stop_all_tpms
	cd / && rm -rf "$demo"
	exit "$status"
}
trap leave EXIT
trap 'exit 129' HUP INT TERM

if [ -t 1 ]; then
	say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
else
	say() { printf '\n# %s\n' "$*"; }
fi
# Prints a line of shell and runs it.
show() {
	printf '$ %s\n' "$1"
	eval "$1"
}
# The same for a line that has to fail: with this status, and this word on standard error.
refused() {
	printf '$ %s\n' "$3"
	code=0
	(eval "$3") 2>"$demo/.refused" || code=$?
	cat "$demo/.refused"
	echo "(exit status $code)"
	if [ "$code" -ne "$1" ] || ! grep -q -e "$2" "$demo/.refused"; then
		echo "demo.sh: expected exit status $1 and '$2'" >&2
		exit 1
	fi
}

# As `make install` would lay it out, but here.
"${MAKE:-make}" --no-print-directory -s install "DESTDIR=$demo/root" PREFIX=/usr "B=$BUILD" >/dev/null
PATH=$demo/root/usr/bin:$PATH
export PATH HOME="$demo" TSS2_LOG=all+none
unset KUBECONFIG KUBERNETES_EXEC_INFO || :
cd "$demo"

say 'A TPM: swtpm plays it. Firmware measured what it booted into PCR 7, the boot loader the kernel into PCR 11.'
printf '$ %s\n' 'swtpm socket --tpm2 --server type=unixio,path=tpm --flags startup-clear ... &'
start_tpm
show 'tpm2_pcrextend 7:sha256=$(echo "Secure Boot on, our keys" | sha256sum | cut -c 1-64)'
show 'tpm2_pcrextend 11:sha256=$(echo "our kernel" | sha256sum | cut -c 1-64)'
show 'sealtool init'

say 'A bearer token, sealed to this TPM in this state, and to a recovery key that belongs in a safe.'
show 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out recovery.pem 2>/dev/null'
show 'openssl pkey -in recovery.pem -pubout -out recovery.pub'
show 'openssl rand -hex 24 > token'
mkdir -p etc/kubetpm/exec.d
show 'sealtool seal --name api --purpose exec-credential --pcrs sha256:7,11 \
      --recovery recovery.pub -o etc/kubetpm/exec.d/token.sealed < token'
show 'sealtool show etc/kubetpm/exec.d/token.sealed'

say 'An API server (a small stand-in with TLS) that lets in who has the token. The plain token goes away.'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out ca.pem \
	-subj /CN=kube-apiserver -addext subjectAltName=IP:127.0.0.1 -days 1 2>/dev/null
printf '$ %s\n' 'https-server.py --cert ca.pem --key server.key --token-file token &'
"$top/tests/tools/https-server.py" --cert ca.pem --key server.key --token-file token >port &
server=$!
tpm_wait_for test -s port
show 'sha256sum token > token.sha256; rm token'

say 'An ordinary kubeconfig whose user is exec-plugin, and the profile that says where the token comes from.'
# Paths of an installed system, and the address, become the ones of this folder.
config=kubeconfig.yaml
minor=$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": *"v1\.\([0-9]*\).*/\1/p' | head -n 1)
[ "${minor:-99}" -ge 22 ] || config=kubeconfig-v1beta1.yaml
sed -e "s|/usr/libexec|$demo/root/usr/libexec|; s|/etc/kubetpm|$demo/etc/kubetpm|" \
	-e "s|server: .*|server: https://127.0.0.1:$(cat port)|" \
	-e "s|certificate-authority: .*|certificate-authority: $demo/ca.pem|" \
	"$top/examples/$config" >kubeconfig
grep -v -e node.sealed -e client-certificate "$top/examples/profile.conf" >etc/kubetpm/exec.d/default
show 'sealtool pcrs --pcrs sha256:7,11 --json > etc/kubetpm/exec.d/state.json'
show "sed -n '/^users/,/^contexts/p' kubeconfig"
show "grep -v -e '^#' -e '^\$' etc/kubetpm/exec.d/default"

say 'kubectl asks exec-plugin, exec-plugin the TPM, and the API server is content.'
show 'kubectl --kubeconfig kubeconfig get namespace default'

say 'The machine boots another kernel: PCR 11 differs. The file stays shut, and the reason is told.'
show 'tpm2_pcrextend 11:sha256=$(echo "some other kernel" | sha256sum | cut -c 1-64)'
refused 3 'PCR 11' 'sealtool unseal etc/kubetpm/exec.d/token.sealed'
version=$(sed -n 's/.*apiVersion: client/client/p' kubeconfig)
refused 3 'PCR 11' "KUBERNETES_EXEC_INFO='{\"kind\":\"ExecCredential\",\"apiVersion\":\"$version\",\"spec\":{}}' \\
      root/usr/libexec/kubetpm/exec-plugin --profile-dir etc/kubetpm/exec.d --profile default"
refused 1 'exec-plugin' 'kubectl --kubeconfig kubeconfig get namespace default'

say 'The key from the safe opens it without any TPM, and binds it to the new state.'
show 'KUBETPM_TCTI=none sealtool recover --key recovery.pem etc/kubetpm/exec.d/token.sealed > token'
show 'sha256sum -c token.sha256'
show 'sealtool reseal --key recovery.pem etc/kubetpm/exec.d/token.sealed'
show 'sealtool pcrs --pcrs sha256:7,11 --json > etc/kubetpm/exec.d/state.json'
show 'kubectl --kubeconfig kubeconfig get namespace default'

left=$(tpm_leftovers || :)
[ "$left" = 0 ] || {
	echo "demo.sh: $left objects or sessions were left in the TPM" >&2
	exit 1
}
say 'Nothing was left in the TPM: no object, no session.'
