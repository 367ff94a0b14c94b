"""The commands of `beagle`, a module a group. They import little at the top; each loads what it runs."""
