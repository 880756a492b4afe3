"""What things cost, beside a bare sum of the same memory and beside other tools: ``make bench``.

Each part can be run alone, as ``python -m benchmarks.scanning``; set ``BENCH_ROUNDS=2`` for a quick look.
"""
