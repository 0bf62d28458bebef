#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Many calls and no growth: KMS_SOAK_STATUS of Status (100,000; `make soak` does 980,000), and KMS_SOAK_RECORDS of
# Encrypt and of Decrypt (1,000; 10,000).
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
python=$(python_with 'grpc')
command -v h2load >/dev/null || skip_all 'no h2load here'
# What a sanitizer keeps of freed memory is no growth of ours.
[ -z "${SAN-}" ] || skip_all 'a sanitizer keeps memory'

must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
printf '%s\n' 'cluster = prod' 'key = k1.key' "listen = unix://$dir/kms.sock" \
	"metrics = unix://$dir/metrics.sock" >kms.conf
"$shim" --config kms.conf -v >shim.out 2>shim.log &
pid=$!
at_exit "kill -KILL $pid 2>/dev/null"
must tpm_wait_for grep -q 'debug: ready' shim.log

it "answers ${KMS_SOAK_STATUS:-100000} Status and ${KMS_SOAK_RECORDS:-1000} records without growing"
run "$python" "$tools/kms-soak.py" "$pid" "$dir/kms.sock" "$dir/metrics.sock" \
	"${KMS_SOAK_STATUS:-100000}" "${KMS_SOAK_RECORDS:-1000}"
expect_status 0
expect_out ' calls, resident '
sed 's/^/# /' "$out"
kill "$pid"
wait "$pid"
expect 'it ends well' test $? -eq 0
done_testing
