"""The promise that nothing is lost, tested: real processes under load, a ledger of every request, and faults."""
