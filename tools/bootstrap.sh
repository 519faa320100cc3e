#!/usr/bin/env bash
# Make a virtual environment with everything the project needs: tools/bootstrap.sh .venv
set -euo pipefail
venv=$1

python=
for candidate in python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "openmm needs Python 3.11 (python3.11 or python3 on the PATH)" >&2
    exit 1
fi
if ! command -v "${CC:-cc}" >/dev/null && ! command -v gcc >/dev/null; then
    echo "openmm needs a C compiler (gcc or clang)" >&2
    exit 1
fi

echo "making $venv with $("$python" --version)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
requires=$("$venv/bin/python" -c 'import tomllib
print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"]))')
export PIP_DISABLE_PIP_VERSION_CHECK=1
mapfile -t requires <<<"$requires"
"$venv/bin/python" -m pip install -q "${requires[@]}"
"$venv/bin/python" -m pip install -q --no-build-isolation --editable '.[dev]'
touch "$venv/.ready"
