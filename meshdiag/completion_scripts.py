"""The completion scripts of bash, zsh and fish. zsh and fish get click's own; bash one that does three things more:

it takes words such as ``severity=crit`` and ``job:rate5m`` for one word, as they are (bash breaks them apart), it
does not take ``consensus.*`` for a file pattern, and it leaves no space after ``severity=``.
"""

from __future__ import annotations

PROGRAM = "meshdiag"
VARIABLE = "_MESHDIAG_COMPLETE"
FILES = {"bash": "meshdiag.bash", "zsh": "_meshdiag", "fish": "meshdiag.fish"}
"""The file of each shell in ``completions/``, under the name that the shell looks for."""

BASH = r"""# bash completion of meshdiag, written by 'meshdiag completion bash'.

_meshdiag_completion() {
    local IFS=' ' rest=$COMP_LINE words=() word i type value current
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -gt 0 && -n $rest && $rest != [[:space:]]* ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$word"}
    done

    # Readline replaces only the part after the last "=" or ":".
    current=${COMP_WORDS[COMP_CWORD]}
    [[ $current == [=:]* ]] && current=
    local last=${words[${#words[@]}-1]}
    local before=${last%"$current"}

    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("${value#"$before"}")
                [[ $value == *= ]] && compopt -o nospace
                ;;
        esac
    done < <(
        # env, because bash does not export an array, which COMP_WORDS is here.
        env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _MESHDIAG_COMPLETE=bash_complete "$1" 2>/dev/null
    )
}

complete -o nosort -F _meshdiag_completion meshdiag
"""


def script(shell: str) -> str:
    """The script of a shell (``bash``, ``zsh``, ``fish``). Needs no such shell to be installed."""
    if shell == "bash":
        return BASH
    import click
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    # The script holds names alone; which command they belong to is asked when it runs.
    return found(click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source().strip() + "\n"
