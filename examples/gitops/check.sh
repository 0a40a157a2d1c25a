#!/bin/sh
# What CI runs for a pull request: says what it makes reachable and what it blocks, and fails when an invariant breaks. No cluster is asked.
#   check.sh [CHECKOUT_IN_FORCE [CHECKOUT_OF_THE_PULL_REQUEST]]
# HEDGEROW: the program (default: kubectl hedgerow).
set -eu
cd "$(dirname "$0")"
in_force=${1:-main}
proposed=${2:-pull-request}
hedgerow=${HEDGEROW:-kubectl hedgerow}

echo "What $proposed changes:"
code=0
$hedgerow diff "$in_force" "$proposed" || code=$?
# 1 is a difference, which is what a pull request is for.
[ "$code" -le 1 ] || exit "$code"

echo "Invariants:"
$hedgerow check invariants.yaml --dir "$proposed"
