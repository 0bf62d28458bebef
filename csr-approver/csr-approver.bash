# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion for csr-approver(8).

_csr_approver()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local options='--inventory --verbose --help --version'

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'review inventory --help --version' -- "$current")
		return
	fi
	case $previous in
	--now | --ek | --node | -n | --pcr-set | --pcrs | -p | --max-lifetime) return ;;
	esac
	case ${COMP_WORDS[1]} in
	review) options+=' --now' ;;
	inventory) options+=' --ek --node --pcr-set --pcrs --max-lifetime --json' ;;
	esac
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
	elif [[ ${COMP_WORDS[1]} == inventory && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'list add remove quarantine accept pcrs' -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
	fi
}
complete -F _csr_approver csr-approver
