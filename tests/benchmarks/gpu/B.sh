# Command B of the run on a GPU: see README.md. From the root of the repository: bash tests/benchmarks/gpu/B.sh
exec python3 tests/benchmarks/gpu/measure.py B "$@"
