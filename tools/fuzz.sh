#!/usr/bin/env bash
# Fuzz on builds of their own, beside the one in place: tools/fuzz.sh PYTHON COUNT FLAVOUR...
#
# Flavours: `checked` (every run-time check of Cython on), `address` (the normal build's C under
# AddressSanitizer). COUNT inputs in all, split evenly. SEED=N repeats a run.
set -euo pipefail
python=$1 count=$2
shift 2
root=$PWD

# build FLAVOUR: make it and say where it lies
build() {
    local -x OPENMM_CHECKED=0 OPENMM_SANITIZE=
    case $1 in
        checked) OPENMM_CHECKED=1 ;;
        address) OPENMM_SANITIZE=address ;;
        *) echo "fuzz: a flavour is checked or address: $1" >&2; return 2 ;;
    esac
    "$python" setup.py -q build >&2
    "$python" -c 'import runpy; print(*runpy.run_path("setup.py")["flavour_dir"]().glob("lib.*"))'
}

for flavour in "$@"; do
    start=$SECONDS
    lib=$(build "$flavour")
    echo "== fuzz: $flavour build: $((SECONDS - start)) s"
    run=("$python" -P -m tests.fuzz --count $(((count + $# - 1) / $#)) ${SEED:+--seed "$SEED"})
    if [ "$flavour" = address ]; then
        # Python's own allocator would hide what lies behind an object; leaks are not looked for.
        PYTHONPATH="$root/$lib:$root" PYTHONMALLOC=malloc LD_PRELOAD=$(gcc -print-file-name=libasan.so) \
            ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 "${run[@]}"
    else
        PYTHONPATH="$root/$lib:$root" "${run[@]}"
    fi
done
