#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# SIGKILL at random moments, through tpm2-abrmd as through a kernel's resource manager: nothing that was ever
# answered is lost, and nothing is left in the TPM. KMS_KILL_OPERATIONS is how many (10,000), and
# KMS_KILL_SEED repeats a run.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'grpc')
PATH=$PATH:/usr/sbin command -v tpm2-abrmd >/dev/null || skip_all 'no tpm2-abrmd here'
operations=${KMS_KILL_OPERATIONS:-10000}
seed=${KMS_KILL_SEED:-$(date +%s)}

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must start_abrmd
printf '%s\n' 'cluster = prod' 'key = k1.key' "listen = unix://$sock" 'log-calls = none' >kms.conf

it "opens every ciphertext ever returned, after kills during $operations operations (seed $seed)"
run "$python" "$tools/kms-kill.py" "$shim" kms.conf "$sock" "$operations" "$seed"
expect_status 0
expect_out "all "
sed 's/^/# /' "$out"

it 'leaves nothing in the TPM'
expect "$(tpm_leftovers) objects and sessions" test "$(tpm_leftovers)" = 0
done_testing
