#!/usr/bin/env bash
# Shell code of the repository through shellcheck and shfmt. `--write` lets shfmt write.
# A tool that is not installed is named; that is a failure only where CI=true.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

STYLE=(-i 2 -ci)
SHEBANG='^#!.*[/ ](ba|da)?sh( |$)'
failed=0
skipped=0

main() {
  local -a files
  mapfile -t files < <(shell_files)
  if [ "${1-}" = --write ]; then
    check shfmt "${STYLE[@]}" -w "${files[@]}"
  else
    check shfmt "${STYLE[@]}" -d "${files[@]}"
    check shellcheck -S style "${files[@]}"
    [ $((failed + skipped)) -ne 0 ] || echo "${#files[@]} shell files are in order"
  fi
  return "$failed"
}

# Every file that is named *.sh or begins with a shebang of bash or sh.
shell_files() {
  local file line
  while IFS= read -r file; do
    line=''
    IFS= read -r line 2>/dev/null <"$file"
    if [[ $file == *.sh || $line =~ $SHEBANG ]]; then printf '%s\n' "$file"; fi
  done < <(find . \( -name node_modules -o -name .git -o -name dist \) -prune -o -type f -size -1024k -print | sort)
}

# check TOOL ARGUMENT...
check() {
  if type -P "$1" >/dev/null; then
    "$@" || failed=1
  else
    skipped=1
    echo "skipped: $1 is not installed (Debian: apt-get install $1)"
    [ "${CI-}" = true ] && failed=1
  fi
  return 0
}

main "$@"
