# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for kms-shim(8).

_kms_shim()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local options='--config --verbose --help --version'

	COMPREPLY=()
	case $previous in
	--config | -c)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
		;;
	--module-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$current")
		compopt -o filenames 2>/dev/null
		;;
	--tcti | -T)
		mapfile -t COMPREPLY < <(compgen -W 'device:/dev/tpmrm0 tabrmd: swtpm:path=' -- "$current")
		;;
	--timeout) ;;
	*)
		if [[ ${COMP_WORDS[1]} == check ]] && ((COMP_CWORD > 1)); then
			options+=' --timeout --status-only --json'
		else
			options+=' --stdio --module-dir --tcti'
			((COMP_CWORD == 1)) && [[ $current != -* ]] && options+=' check'
		fi
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
		;;
	esac
}
complete -F _kms_shim kms-shim
