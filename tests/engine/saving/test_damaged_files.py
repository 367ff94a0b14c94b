"""Archives and HDF5 files that are cut, flipped, forged or do not fit: a clear error in bounded time and memory."""

from __future__ import annotations

import contextlib
import io
import random
import re
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from engine.models import load_model
from tests.engine.saving.archives import (
    WEIGHTS,
    members_of,
    small_archive,
    small_model,
    with_weights,
    write_members,
)

MEBIBYTE = 1 << 20
KERNEL = "layers/dense/vars/0"


def _outcome(path: Path) -> str:
    """ "loaded" where the model is right, "refused" at a clear error; anything else is passed on."""
    started = time.monotonic()
    try:
        model = load_model(path)
    except (ValueError, TypeError):
        return "refused"
    finally:
        assert time.monotonic() - started < 10
    for left, right in zip(model.get_weights(), small_model().get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    return "loaded"


def test_a_truncated_archive_is_refused_at_every_length(tmp_path: Path) -> None:
    content = small_archive(tmp_path / "m.keras").read_bytes()
    lengths = {*range(64), *range(0, len(content), len(content) // 60), *range(len(content) - 64, len(content))}
    for length in sorted(lengths):
        (tmp_path / "cut.keras").write_bytes(content[:length])
        assert _outcome(tmp_path / "cut.keras") == "refused", length


def test_a_truncated_archive_is_said_to_be_truncated(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "m.keras")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"m\.keras.*truncated"):
        load_model(path)


def test_flipped_bits_of_an_archive_never_give_a_wrong_model(tmp_path: Path) -> None:
    content = small_archive(tmp_path / "m.keras").read_bytes()
    rng = random.Random(1)
    outcomes = []
    for _ in range(150):
        flipped = bytearray(content)
        for _ in range(rng.choice((1, 1, 4))):
            flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / "flipped.keras").write_bytes(flipped)
        outcomes.append(_outcome(tmp_path / "flipped.keras"))
    assert outcomes.count("refused") > 75  # the checksums of what is read notice; dates in headers do not matter


def test_a_damaged_weights_file_loads_or_is_refused(tmp_path: Path) -> None:
    # No checksum guards a plain .weights.h5: values may change, but nothing worse may happen.
    model = small_model()
    model.save_weights(tmp_path / "m.weights.h5")
    content = (tmp_path / "m.weights.h5").read_bytes()
    rng = random.Random(2)
    path = tmp_path / "d.weights.h5"
    for number in range(200):
        damaged = bytearray(content)
        if number % 4 == 0:
            del damaged[rng.randrange(len(content)) :]
        else:
            for _ in range(rng.choice((1, 2, 8))):
                damaged[rng.randrange(len(content))] = rng.choice((0, 0xFF, rng.randrange(256)))
        path.write_bytes(damaged)
        started = time.monotonic()
        with contextlib.suppress(ValueError, TypeError):
            model.load_weights(path)
        assert time.monotonic() - started < 10


# Zip archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["config.json", WEIGHTS])
def test_a_missing_member_is_named(member: str, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    del members[member]
    path = write_members(tmp_path / "m.keras", members)
    with pytest.raises(ValueError, match=f"has no {re.escape(member)}"):
        load_model(path)


@pytest.mark.parametrize("member", ["config.json", WEIGHTS])
def test_a_folder_without_a_member_names_it(member: str, tmp_path: Path) -> None:
    small_model().save(tmp_path / "folder", zipped=False)
    (tmp_path / "folder" / member).unlink()
    with pytest.raises(ValueError, match=f"has no {re.escape(member)}"):
        load_model(tmp_path / "folder")


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.keras"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("member", ["config.json", WEIGHTS])
def test_a_zip_bomb_is_refused_unread(member: str, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    members[member] = bytes(100 * MEBIBYTE)
    path = write_members(tmp_path / "m.keras", members, zipfile.ZIP_DEFLATED)
    del members
    assert path.stat().st_size < MEBIBYTE
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"claims 104857600 bytes.*bomb"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packings_that_cannot_be_bounded_are_refused(compression: int, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    with pytest.raises(ValueError, match="packed by method"):
        load_model(write_members(tmp_path / "m.keras", members, compression))


def test_a_deflated_archive_is_read(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    assert _outcome(write_members(tmp_path / "m.keras", members, zipfile.ZIP_DEFLATED)) == "loaded"


def test_a_member_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "m.keras")
    content = bytearray(path.read_bytes())
    entry = content.rindex(WEIGHTS.encode()) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 20 : entry + 28] = struct.pack("<II", 3 << 30, 3 << 30)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"claims|damaged|truncated"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEBIBYTE
    finally:
        tracemalloc.stop()


# HDF5 -----------------------------------------------------------------------------------------------------------------


def _replaced(file: h5py.File, make: Any) -> None:
    del file[KERNEL]
    make(file, KERNEL)


def _chunked_claim(file: h5py.File, path: str) -> None:
    file.create_dataset(path, shape=(10**6, 10**6), dtype="f4", chunks=(64, 64))


def _external_link(file: h5py.File, path: str) -> None:
    file[path] = h5py.ExternalLink("/etc/hostname", "/x")


def _soft_link(file: h5py.File, path: str) -> None:
    file[path] = h5py.SoftLink("/layers/conv2d/vars/0")


def _dangling_link(file: h5py.File, path: str) -> None:
    file[path] = h5py.SoftLink("/nowhere")


def _virtual(file: h5py.File, path: str) -> None:
    layout = h5py.VirtualLayout(shape=(8, 3), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(8, 3))
    file.create_virtual_dataset(path, layout)


def _external_storage(file: h5py.File, path: str) -> None:
    file.create_dataset(path, shape=(8, 3), dtype="f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def _strings(file: h5py.File, path: str) -> None:
    file.create_dataset(path, data=["a", "b"], dtype=h5py.string_dtype())


def _references(file: h5py.File, path: str) -> None:
    file.create_dataset(path, shape=(8, 3), dtype=h5py.ref_dtype)


def _compound(file: h5py.File, path: str) -> None:
    file.create_dataset(path, data=np.zeros((8, 3), [("a", "f4"), ("b", "f4")]))


def _complex(file: h5py.File, path: str) -> None:
    file.create_dataset(path, data=np.zeros((8, 3), np.complex64))


def _empty(file: h5py.File, path: str) -> None:
    file.create_dataset(path, data=h5py.Empty("f4"))


def _false_bfloat16(file: h5py.File, path: str) -> None:
    file.create_dataset(path, data=np.zeros((8, 3), "V4")).attrs["dtype"] = "bfloat16"


def _group(file: h5py.File, path: str) -> None:
    file.create_group(path)


HOSTILE: dict[str, tuple[Any, str]] = {
    "a dataset of a gigantic declared shape": (_chunked_claim, r"claims \d+ bytes and brings 0"),
    "an external link": (_external_link, "link to another place"),
    "a soft link": (_soft_link, "link to another place"),
    "a dangling link": (_dangling_link, "link to another place"),
    "a virtual dataset": (_virtual, "outside the file"),
    "external storage": (_external_storage, "outside the file"),
    "strings": (_strings, "not numbers"),
    "references": (_references, "not numbers"),
    "a compound type": (_compound, "not numbers"),
    "complex numbers": (_complex, "not numbers"),
    "no values": (_empty, "not numbers"),
    "raw bytes that are not bfloat16": (_false_bfloat16, "not numbers"),
    "a group in the place of a dataset": (_group, "expects 2 variables, but 1 were saved"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_datasets_that_lead_elsewhere_or_hold_something_else_are_refused(hostile: str, tmp_path: Path) -> None:
    make, said = HOSTILE[hostile]
    path = with_weights(tmp_path / "m.keras", lambda file: _replaced(file, make))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=said):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 80 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_groups_in_a_circle_are_gone_through_once(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["layers/dense/again"] = file["layers"]
        file["layers/dense/root"] = file["/"]

    path = with_weights(tmp_path / "m.keras", change)
    assert _outcome(path) == "loaded"


def test_deeply_nested_groups_are_reported_as_left_over(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        group = file
        for _ in range(1500):
            group = group.create_group("g")
        group["x"] = 1.0

    with pytest.raises(ValueError, match="no place for"):
        load_model(with_weights(tmp_path / "m.keras", change))


def test_gigantic_datasets_do_not_raise_the_limit_of_gigantic_layers(tmp_path: Path) -> None:
    import json

    members = members_of(with_weights(tmp_path / "m.keras", lambda file: _replaced(file, _chunked_claim)))
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1]["config"]["units"] = 10**8
    members["config.json"] = json.dumps(config).encode()
    with pytest.raises(ValueError, match=r"last.*takes \d+ bytes"):
        load_model(write_members(tmp_path / "m.keras", members))


def test_every_mismatch_is_listed_in_one_error(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        _replaced(file, lambda f, name: f.create_dataset(name, data=np.zeros((5, 7), np.float32)))
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = np.zeros(9, np.float32)
        del file["layers/conv2d/vars"]
        file["layers/lstm/cell/vars/0"] = np.zeros(3, np.float32)

    with pytest.raises(ValueError) as caught:
        load_model(with_weights(tmp_path / "m.keras", change))
    said = str(caught.value)
    assert "m.keras': 3 mismatches" in said
    assert re.search(r"'last' at layers/dense: .*kernel.* \(8, 3\).*\(5, 7\).*bias.* \(3,\).*\(9,\)", said)
    assert re.search(r"'first' at layers/conv2d: .*expects 2 variables, but 0 were saved", said)
    assert "layers/lstm/cell/vars/0" in said


def test_weights_that_do_not_fit_may_be_skipped_with_a_warning(tmp_path: Path) -> None:
    path = with_weights(
        tmp_path / "m.keras",
        lambda file: _replaced(file, lambda f, name: f.create_dataset(name, data=np.zeros((5, 7), np.float32))),
    )
    model = small_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    with pytest.raises(ValueError, match="1 mismatch "):
        model.load_weights(path)
    assert not any(weight.any() for weight in model.get_weights())  # all or nothing
    with pytest.warns(UserWarning, match="last"):
        model.load_weights(path, skip_mismatch=True)
    assert np.all(model.get_layer("first").get_weights()[0] == 0.25)
    assert not np.any(model.get_layer("last").get_weights()[0])


def test_a_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    for content in (b"", b"text", members[WEIGHTS][:700], io.BytesIO(bytes(2048)).getvalue()):
        path = write_members(tmp_path / "m.keras", {**members, WEIGHTS: content})
        with pytest.raises(ValueError, match=r"model\.weights\.h5 is not a readable HDF5 file"):
            load_model(path)


def test_paths_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        load_model(tmp_path / "absent.keras")
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(ValueError, match=r"Expected a '\.keras' file"):
        load_model(tmp_path / "m.txt")
    with pytest.raises(ValueError, match=r"Expected a '\.weights\.h5'"):
        small_model().load_weights(tmp_path / "m.txt")
    with pytest.raises(FileNotFoundError, match="absent"):
        small_model().load_weights(tmp_path / "absent.weights.h5")


def test_the_small_model_itself_loads(tmp_path: Path) -> None:
    assert _outcome(small_archive(tmp_path / "m.keras")) == "loaded"
    assert isinstance(load_model(tmp_path / "m.keras"), engine.Sequential)


def test_long_lists_of_mismatches_are_cut_short(tmp_path: Path) -> None:
    deep = engine.Sequential([engine.Input((2,)), *(engine.layers.Dense(2) for _ in range(9))])
    shallow = engine.Sequential([engine.Input((2,)), engine.layers.Dense(2)])
    deep.save_weights(tmp_path / "deep.weights.h5")
    shallow.save_weights(tmp_path / "shallow.weights.h5")
    with pytest.raises(ValueError, match=r"deep.weights.h5': 1 mismatch .*\n.*no place for: .*, and 11 more$"):
        shallow.load_weights(tmp_path / "deep.weights.h5")
    with pytest.raises(ValueError, match=r"shallow.weights.h5': 8 mismatches .*(\n.*){5}\n- and 3 more$"):
        deep.load_weights(tmp_path / "shallow.weights.h5")
