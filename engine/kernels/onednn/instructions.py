"""What the CPU computes fast: the instruction sets that make bfloat16 and int8 worth while."""

from __future__ import annotations

from enum import IntFlag

from engine.kernels.onednn.handles import library


class InstructionSet(IntFlag):
    """Bits of `dnnl_cpu_isa_t` that matter here."""

    AVX2_VNNI = 0x8
    AVX512 = 0x20
    AVX512_VNNI = 0x40
    AVX512_BFLOAT16 = 0x80


def effective() -> InstructionSet:
    """The instruction sets that oneDNN uses: the CPU's, up to the limit that `ONEDNN_MAX_CPU_ISA` may set."""
    return InstructionSet(library.dnnl_get_effective_cpu_isa())


def has_bfloat16() -> bool:
    """Whether products of bfloat16 numbers are one instruction. Without it oneDNN emulates them, slowly."""
    return InstructionSet.AVX512_BFLOAT16 in effective()


def has_int8() -> bool:
    """Whether products of 8-bit numbers are summed in 32 bits by one instruction.

    Without it they pass through 16 bits, where large sums saturate.
    """
    return bool(effective() & (InstructionSet.AVX512_VNNI | InstructionSet.AVX2_VNNI))
