"""The engines that are compared, ours and the peers: each a program that answers a benchmark over pipes."""
