"""Kernels: implementations of primitives for one device each, in a package by device.

A device's package registers its kernels with the primitives when it is imported, and raises ImportError or OSError
where the device's library cannot be used.
"""
