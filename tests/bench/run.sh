#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--json] - the figures, side by side with tpm2-tools and clevis, on a private swtpm without
# a resource manager. Fails if a limit is exceeded.
#
#	BUILD		the build folder
#	BENCH_ROUNDS	how often each program runs (default 40)
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX")
# shellcheck source=tests/tools/swtpm.sh
. "$top/tests/tools/swtpm.sh"
trap 'stop_all_tpms; rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM

stage=$work/stage
"${MAKE:-make}" --no-print-directory install "DESTDIR=$stage" PREFIX=/usr "B=$BUILD" >/dev/null
PATH=$stage/usr/bin:$PATH
exec_plugin=$stage/usr/libexec/kubetpm/exec-plugin
export PATH HOME="$work" TSS2_LOG=all+none
export KUBERNETES_EXEC_INFO='{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}'
start_tpm
cd "$work"

# The same secret, of 32 bytes, under the same PCRs, four times.
head -c 24 /dev/urandom | base64 | tr -d '\n' >secret
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
(
	umask 077
	echo 271828 >pin
)
sealtool init >/dev/null
sealtool pcrs --json >here.pcrs
sealtool srk -o here.pub
seal() {
	sealtool seal --name bench --purpose exec-credential "$@" <secret 2>/dev/null
}
seal --pcrs sha256:7,16 --recovery rec.pub -o t.sealed
seal --pcrs sha256:7,16 --pin-file pin -o pin.sealed
seal --for here.pub --for-pcrs here.pcrs -o import.sealed
mkdir -m 755 profiles
cp t.sealed profiles/
echo 'sufficient cred-sealed file=t.sealed as=token ttl=10m' >profiles/bench
tpm2_startauthsession -S session.ctx
tpm2_policypcr -Q -S session.ctx -l sha256:7,16 -L pcr.policy
tpm2_flushcontext session.ctx
tpm2_create -Q -C 0x81000001 -i secret -L pcr.policy -a 'fixedtpm|fixedparent' -u o.pub -r o.priv
clevis encrypt tpm2 '{"pcr_bank":"sha256","pcr_ids":"7,16"}' <secret >t.jwe
flush_tpm

cat >plan.json <<EOT
{"rounds": ${BENCH_ROUNDS:-40},
 "programs": {
  "sealtool unseal": {"commands": [["sealtool", "unseal", "t.sealed"]], "tpm": true, "memory": true},
  "sealtool unseal, PIN": {"commands": [["sealtool", "unseal", "--pin-file", "pin", "pin.sealed"]], "tpm": true},
  "sealtool unseal, made elsewhere": {"commands": [["sealtool", "unseal", "import.sealed"]], "tpm": true},
  "sealtool recover (no TPM)": {"commands": [["sealtool", "recover", "--key", "rec.pem", "t.sealed"]]},
  "sealtool reseal": {"commands": [["sealtool", "reseal", "--verbose", "t.sealed"]], "rounds": 5, "tpm": true},
  "sealtool --version (start only)": {"commands": [["sealtool", "--version"]]},
  "openssl dgst (start only)": {"commands": [["openssl", "dgst", "-sha256", "/dev/null"]]},
  "exec-plugin": {"commands": [["$exec_plugin", "--profile-dir", "profiles", "--profile", "bench"]],
   "tpm": true, "memory": true},
  "tpm2_load, _unseal, _flushcontext": {"commands": [
   ["tpm2_load", "-Q", "-C", "0x81000001", "-u", "o.pub", "-r", "o.priv", "-c", "o.ctx"],
   ["tpm2_unseal", "-Q", "-c", "o.ctx", "-p", "pcr:sha256:7,16"],
   ["tpm2_flushcontext", "-t"]], "tpm": true},
  "clevis decrypt": {"commands": [["clevis", "decrypt"]], "stdin": "t.jwe", "rounds": 10}
 },
 "limits": [
  {"of": "sealtool unseal", "what": "commands", "most": 6},
  {"of": "sealtool unseal, PIN", "what": "commands", "most": 7},
  {"of": "sealtool unseal, made elsewhere", "what": "commands", "most": 7},
  {"of": "exec-plugin", "what": "commands", "most": 6},
  {"of": "sealtool unseal", "what": "milliseconds", "to": "tpm2_load, _unseal, _flushcontext", "most": 0.4},
  {"of": "sealtool unseal", "what": "milliseconds", "to": "clevis decrypt", "most": 0.1},
  {"of": "exec-plugin", "what": "milliseconds", "to": "sealtool unseal", "most": 1.3},
  {"of": "exec-plugin", "what": "peak_mib", "most": 12}
 ]}
EOT
"$top/tests/bench/measure.py" plan.json "$@" 2>measure.err || {
	status=$?
	grep -v 'warning: policy' measure.err >&2 || :
	exit "$status"
}
sealtool unseal t.sealed >/dev/null
left=$(tpm_leftovers || :)
if [ "$left" != 0 ]; then
	echo "objects and sessions left in the TPM: $left" >&2
	exit 1
fi
