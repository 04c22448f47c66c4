#!/usr/bin/env bash
# Check the viewer's source: types, lint, format, tests, and that the committed build is what it gives.
set -euo pipefail
cd "$(dirname "$0")"

if ! said=$(npm ci --no-audit --no-fund 2>&1); then
  echo "$said" | head -20
  if grep -q EUSAGE <<< "$said"; then exit 1; fi # the lock file does not fit, which is a mistake of ours
  echo "viewer-check: the packages cannot be fetched here, so the viewer's source is not checked"
  exit 0
fi
npm run --silent check
npm run --silent test

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
npm run --silent build -- --outDir "$built" --emptyOutDir > "$built.log" 2>&1 || { cat "$built.log"; exit 1; }
rm -f "$built.log"
if ! diff -rq "$built" ../agentflow_web/static; then
  echo "The committed build does not fit its source: run \`make viewer\` and commit web/agentflow_web/static."
  exit 1
fi
