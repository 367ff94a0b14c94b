"""Fuzzing of every reader: files changed at random, in the terms of their format, are read in a guarded process.

Whatever a file holds, its reader gives a model or says in a `ValueError`, `TypeError` or `FileNotFoundError` that names
the file what is wrong; within 5 s of computing and 1 GiB of memory, without running, importing or writing anything.

| Module | What it does |
|---|---|
| `guard.py` | notices code that is run, foreign modules, other files, sockets and processes |
| `readers.py` | the readers, and what they may answer |
| `worker.py` | the guarded process: bounded memory and time, one file after the other |
| `process.py` | starts the worker, asks it, and tells how it died |
| `*_edits.py` | random changes in the terms of a format |
| `seeds.py` | the small files that are changed |
| `campaign.py` | draws changes with hypothesis until the time is over |

`BEAGLE_FUZZ_SECONDS` (60) is the time that all campaigns share; `BEAGLE_FUZZ_SEED` draws others than the usual ones;
`BEAGLE_FUZZ_KEEP` names a folder where files that failed are kept, with what was said of them.
"""
