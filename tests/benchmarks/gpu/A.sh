# Command A of the run on a GPU: see README.md. From the root of the repository: bash tests/benchmarks/gpu/A.sh
exec python3 tests/benchmarks/gpu/measure.py A "$@"
