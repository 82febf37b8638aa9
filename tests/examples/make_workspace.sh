#!/usr/bin/env bash
# Makes tests/examples/workspace-0.1.0.tar.xz: see README.md beside it.
# usage: make_workspace.sh CHECKOUT_OF_a59feeb CHECKOUT_OF_fae095e
set -euo pipefail
checkout=$1 older=$2 here=$(cd "$(dirname "$0")" && pwd)
root=/tmp/hhmnet-example
work=$root/workspace store=$root/store
rm -rf "$root" && mkdir -p "$root"
export OMP_NUM_THREADS=1 HHMNET_CACHE=$root/cache HHMNET_GIT_COMMIT=a59feeb
python=${PYTHON:-python}
data=(--data.store="$store" --workspace="$work" --optim.batch=8)
model=(--model.widths='[4]' --model.heads=1 --model.embedding=4 --data.frames=8 --workers=1)

in_checkout() { (cd "$1" && shift && PYTHONPATH=.:platform "$python" "$@"); }

in_checkout "$checkout" "$here/make_store.py" "$store"
in_checkout "$checkout" experiments/phase1.py "${data[@]}" "${model[@]}" --optim.epochs=2
phase1=$(cd "$work/runs" && ls)
in_checkout "$checkout" experiments/phase2.py "${data[@]}" --phase1="$phase1" --video.widths='[4]' \
    --video.depths='[1]' --video.embedding=4 --optim.epochs=2
phase2=$(cd "$work/runs" && ls | grep phase2)
in_checkout "$checkout" experiments/search.py fusion --runs="[$phase1,$phase2]" --trials=1 \
    --evaluations=20 --workspace="$work"
in_checkout "$checkout" experiments/ensemble.py --experiment=example/cross-view --workspace="$work"
# Two runs that were stopped; the older commit's config lacks fields that were added since.
for name in unfinished older; do
    from=$checkout && [ $name = older ] && from=$older
    (cd "$from" && PYTHONPATH=.:platform exec "$python" experiments/phase1.py "${data[@]}" \
        "${model[@]}" --optim.epochs=8 --seed=2 --name=$name) &
    driver=$!
    until ls "$work/runs/$name" 2> /dev/null | grep -q 'epoch-0000[2]$'; do sleep 0.02; done
    kill -KILL $driver || true
    sleep 5
done
cd "$root"
rm -rf workspace/tune cache
find workspace -name '*.png' -delete
find workspace -name 'report.html' -delete
find workspace -name '*.lock' -delete
"$python" - workspace/mlflow.db <<'PY'
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("vacuum")
PY
for run in workspace/runs/example-*; do # the last checkpoint of a finished run is enough
    ls -d "$run"/epoch-* | sort | head -n -1 | xargs -r rm -r
done
tar --sort=name --owner=0 --group=0 --mtime=2026-11-27 -cJf "$here/workspace-0.1.0.tar.xz" store workspace
ls -l "$here/workspace-0.1.0.tar.xz"
