# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for exec-plugin(1), which people start to try a profile.

_exec_plugin()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	case $previous in
	--profile-dir | --module-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		compopt -o filenames 2>/dev/null
		;;
	--profile | -p)
		mapfile -t COMPREPLY < <(cd /etc/kubetpm/exec.d 2>/dev/null && compgen -f -- "$current")
		;;
	--tcti | -T)
		mapfile -t COMPREPLY < <(compgen -W 'device:/dev/tpmrm0 tabrmd: swtpm:path=' -- "$current")
		;;
	*)
		mapfile -t COMPREPLY < <(compgen -W '--profile --profile-dir --module-dir --tcti --modules
			--verbose --help --version' -- "$current")
		;;
	esac
}
complete -F _exec_plugin exec-plugin
