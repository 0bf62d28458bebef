# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034,SC2119,SC2120 # tpm_dir, dir and tools are the others', mid is the test's
#
# An interposer before the current TPM: source this after tap.sh and swtpm.sh.
#
#	start_proxy		$mid is its TCTI then
#	order [WHAT]		what becomes of commands from now on (tpm-proxy.py, "as="); nothing: the TPM answers

start_proxy() {
	"$tools/tpm-proxy.py" "$tpm_dir/tpm" "$tpm_dir/mid" "as=$dir/order" 1 >"$tpm_dir/proxy.log" 2>&1 &
	proxy=$!
	at_exit "kill $proxy 2>/dev/null"
	must tpm_wait_for test -S "$tpm_dir/mid"
	mid=swtpm:path=$tpm_dir/mid
	order
}
order() {
	printf '%s\n' "$*" >"$dir/order.new"
	mv "$dir/order.new" "$dir/order"
}
