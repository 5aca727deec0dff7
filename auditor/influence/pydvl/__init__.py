"""Everything that touches pyDVL: its solvers as engines, products on a Dask cluster, the influence matrix on disk.

Nothing outside this folder imports pyDVL or zarr. Inside it, names of pyDVL come from `library`.

pyDVL 0.10 has traps. Each is worked around in one place, and a comment there names its number:

1. Its Hessian operator averages batches without their sizes: a short last batch counts too much (`operators`).
2. Its CG stops row i by the norm of coordinate i, and leaves rows beyond the number of parameters at zero (`cg`).
3. Its CG squares the tolerances it is given, and returns neither residual nor iterations (`cg`, `operators`).
4. Its inverse harmonic mean averages by the number of right-hand sides (`operators`).
5. Its EKFAC fits factors that are not the Fisher matrix's, fails in float64 and leaves hooks behind (`ekfac`).
6. Its Arnoldi solver drops everything outside its factor, and starts from another vector in each run (`low_rank`).
7. Its Nystroem and LiSSA draw from torch's global generator (`low_rank`, `lissa`, by `hardware.seeded`).
8. Its LiSSA stops when steps get short, long before a series with small damping has converged (`lissa`).
9. Its models are not thread-safe, and its Dask calculator crashes on a chunk of one point (`cluster`).
10. Its calculators redo the solve for every pair of chunks (`cluster`).
11. Being imported, it warns of its own decorators' future (`library`).
"""
