#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# kms-shim as its unit files run it: hardening, an unprivileged user, a socket that somebody else made; and what
# examples/ has for monitoring, against the figures that it really serves.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
units=$STAGE/usr/lib/systemd/system
shim=$STAGE/usr/libexec/kubetpm/kms-shim
python=$(python_with 'grpc')

it 'installs its units, with the paths of the installation'
expect 'the service' grep -qx "ExecStart=/usr/libexec/kubetpm/kms-shim --config /etc/kubetpm/kms.conf" \
	"$units/kms-shim.service"
expect 'the socket of examples/kms.conf' grep -qx "ListenStream=$(sed -n \
	's|^listen *= *unix://||p' "$top/examples/kms.conf")" "$units/kms-shim.socket"
expect 'the socket of examples/encryption-config.yaml' grep -qF "endpoint: unix://$(sed -n \
	's/^ListenStream=//p' "$units/kms-shim.socket")" "$top/examples/encryption-config.yaml"
expect 'the same folder in the static pod' grep -qF 'path: /run/kubetpm' \
	"$top/examples/kms-shim-pod.yaml"

if command -v systemd-analyze >/dev/null; then
	mkdir units
	sed "s|/usr/libexec|$STAGE/usr/libexec|; /^Documentation=/d" "$units/kms-shim.service" \
		>units/kms-shim.service
	sed '/^Documentation=/d' "$units/kms-shim.socket" >units/kms-shim.socket
	it 'systemd-analyze verify has nothing to say'
	run systemd-analyze verify "$dir/units/kms-shim.service"
	expect_status 0
	expect_no_err
	it 'systemd-analyze security: an exposure of at most 1.0'
	run systemd-analyze security --no-pager --offline=true --threshold=10 \
		"$dir/units/kms-shim.service"
	expect_status 0
else
	skip 'systemd-analyze verify has nothing to say' 'no systemd-analyze here'
	skip 'systemd-analyze security: an exposure of at most 1.0' 'no systemd-analyze here'
fi

if [ "$(id -u)" -ne 0 ]; then
	skip 'serves as an unprivileged user' 'needs root to become one'
	done_testing
fi
# A group of its own stands for tss, which a machine without a TPM need not have.
GROUP=61234
export GROUP
must start_tpm
must sealtool init
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
chgrp "$GROUP" k1.key
chmod 0640 k1.key
sed -e "s|/run/kubetpm|$dir/run|" "$top/examples/kms.conf" >kms.conf
mkdir run run-metrics
chown 65534 run-metrics
echo "metrics = unix://$dir/run-metrics/metrics.sock" >>kms.conf
chmod 644 kms.conf
# Others may reach what is staged here, as they may an installation.
chmod 755 "$tap_dir" "$dir" run run-metrics "$STAGE" "$(dirname "$STAGE")"
# The device's group is what lets it in: here, that of the software TPM's socket.
chgrp "$GROUP" "$tpm_dir" "$tpm_dir/tpm" "$tpm_dir/tpm.ctrl"
chmod 0750 "$tpm_dir"
chmod 0660 "$tpm_dir/tpm" "$tpm_dir/tpm.ctrl"
sock=$dir/run/kms.sock
service=
# start_service [WRAPPER...]
start_service() {
	rm -f "$sock" "$sock.notify"
	"$python" "$tools/as-service.py" "$units/kms-shim.service" "$sock" ready "$@" "$shim" \
		--config "$dir/kms.conf" >service.out 2>service.log &
	service=$!
	tries=0
	until grep -qx READY=1 ready 2>/dev/null || [ "$tries" -gt 200 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
stop_service() {
	kill -TERM "$service"
	status=0
	wait "$service" || status=$?
	service=
}
# shellcheck disable=SC2016 # for later
at_exit '[ -z "$service" ] || kill -TERM "$service"'

it 'serves as an unprivileged user without capabilities, on a socket that it did not make'
start_service
cp service.log "$err"
expect 'it says that it is ready' grep -qx READY=1 ready
run "$python" "$tools/kms-client.py" "$sock" round-trips 3
expect_status 0
expect 'no right is left' sh -c "grep -q 'CapEff:.*0000000000000000' /proc/\$(pgrep -P $service)/status"

it 'tells of all that the alerts and the dashboard ask for'
run "$python" - "$dir/run-metrics/metrics.sock" "$top/examples/prometheus-rules.yaml" \
	"$top/examples/grafana-dashboard.json" <<'EOT'
import json, re, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
text = b""
while chunk := s.recv(65536):
    text += chunk
served = set(re.findall(r"^([a-z_]+)(?:\{.*\})? ", text.decode().split("\r\n\r\n", 1)[1], re.M))
rules = open(sys.argv[2], encoding="utf-8").read()
board = json.load(open(sys.argv[3], encoding="utf-8"))
exprs = re.findall(r"^ *expr: (.*)$", rules, re.M)
alerts = re.findall(r"^ *- alert: (\w+)$", rules, re.M)
assert len(alerts) == len(set(alerts)) == len(exprs) >= 8, (alerts, exprs)
panels = board["panels"]
assert len({p["id"] for p in panels}) == len(panels) >= 10
exprs += [t["expr"] for p in panels for t in p["targets"]]
NAME = re.compile(r"\b(?:kubetpm|kmsplugin|process)_[a-z_]+")
asked = {name for expr in exprs for name in NAME.findall(expr)}
assert all(NAME.search(expr) for expr in exprs)
print("not served:", sorted(asked - served))
sys.exit(asked > served or bool(asked - served))
EOT
expect_status 0

it 'ends when it is told to'
stop_service
expect_status 0

if command -v strace >/dev/null && command -v systemd-analyze >/dev/null && [ -z "${SAN-}" ] &&
	strace -f -o /dev/null true 2>/dev/null; then
	it 'needs no system call that the unit forbids'
	rm -f calls
	touch calls
	chmod 666 calls
	start_service strace -D -f -qq -o "$dir/calls"
	run "$python" "$tools/kms-client.py" "$sock" round-trips 3
	expect_status 0
	kill -HUP "$service"
	sleep 0.5
	stop_service
	systemd-analyze syscall-filter --no-pager >sets
	run "$python" - "$units/kms-shim.service" sets calls <<'EOT'
import re, sys
unit, sets, calls = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
groups = {}
for block in re.split(r"^(?=@)", sets, flags=re.M):
    lines = [l.strip() for l in block.splitlines() if l.strip() and not l.strip().startswith("#")]
    if lines and lines[0].startswith("@"):
        groups[lines[0].split()[0]] = lines[1:]
def flat(name):
    return set().union(*(flat(n) for n in groups[name])) if name.startswith("@") else {name}
allowed = set()
for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
    names = set().union(*(flat(n) for n in line.lstrip("~").split()))
    allowed = allowed - names if line.startswith("~") else allowed | names
# The first execve is the service manager's.
made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", calls, re.M)) - {"execve"}
print(len(made), "made; forbidden:", sorted(made - allowed))
sys.exit(len(made) < 20 or bool(made - allowed))
EOT
	expect_status 0
else
	skip 'needs no system call that the unit forbids' 'no strace, or no systemd-analyze, here'
fi
done_testing
