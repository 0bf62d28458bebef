#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check-install.sh - a staged install has everything, runs from where it lies, and uninstall takes
# all of it away again.
set -eu
cd "$(dirname "$0")/../.."
root=$(mktemp -d "${TMPDIR:-/tmp}/kt-install.XXXXXX")
trap 'rm -rf "$root"' EXIT
make install DESTDIR="$root" PREFIX=/usr
"$root/usr/bin/sealtool" --version
"$root/usr/libexec/kubetpm/exec-plugin" --version
"$root/usr/libexec/kubetpm/kms-shim" --version
"$root/usr/bin/audit-verify" --version
for f in lib/kubetpm/cred-sealed.so lib/kubetpm/pcr-state.so include/kubetpm/module.h \
	share/man/man1/sealtool.1 share/man/man1/audit-verify.1 share/man/man7/kubetpm-audit.7 share/man/man7/kubetpm.7 share/man/man5/kubetpm-formats.5 \
	share/bash-completion/completions/sealtool lib/kubetpm/kms-tpm.so \
	lib/systemd/system/kms-shim.service lib/systemd/system/kms-shim.socket \
	share/doc/kubetpm/examples/prometheus-rules.yaml; do
	test -f "$root/usr/$f" || {
		echo "not installed: $f" >&2
		exit 1
	}
done
make uninstall DESTDIR="$root" PREFIX=/usr
make install DESTDIR="$root" PREFIX=/opt/kubetpm
if grep -r -l -e /usr/libexec/kubetpm -e '[^/a-z]/etc/kubetpm' \
	"$root/opt/kubetpm/share" "$root/opt/kubetpm/lib/systemd"; then
	echo "these files name paths of another installation" >&2
	exit 1
fi
make uninstall DESTDIR="$root" PREFIX=/opt/kubetpm
left=$(find "$root" ! -type d)
if [ -n "$left" ]; then
	printf 'uninstall left behind:\n%s\n' "$left" >&2
	exit 1
fi
