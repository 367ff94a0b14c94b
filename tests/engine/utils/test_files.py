"""Downloads: whole, cut off, resumed, checked, shared by processes, and refused in one sentence."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.utils import download, get_file
from tests.engine.utils.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 40 + b"the end"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as file:
        yield file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BEAGLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("digest", [None, SHA256, MD5, MD5.upper()])
def test_a_file_is_fetched_once_and_kept(server: FileServer, home: Path, digest: str | None) -> None:
    paths = {get_file("w.bin", server.url, file_hash=digest, cache_subdir="models") for _ in range(2)}
    assert paths == {str(home / "models" / "w.bin")}
    assert (home / "models" / "w.bin").read_bytes() == CONTENT
    assert _names(home / "models") == {"w.bin"}
    assert len(server.requests) == 1


def test_the_name_comes_from_the_address_and_the_folder_from_the_caller(server: FileServer, tmp_path: Path) -> None:
    assert get_file(origin=server.url, cache_dir=tmp_path) == str(tmp_path / "datasets" / "weights.bin")
    assert get_file(origin=server.url, cache_subdir=str(tmp_path / "here")) == str(tmp_path / "here" / "weights.bin")


def test_the_home_folder_is_the_users_where_no_variable_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.utils.files import cache_folder

    monkeypatch.delenv("BEAGLE_HOME")
    assert cache_folder("models") == Path.home() / ".beagle" / "models"


def test_a_transfer_that_is_cut_off_goes_on_where_it_ended(server: FileServer) -> None:
    server.cuts = [1000, 500]
    assert Path(get_file("w.bin", server.url)).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=1000-", "bytes=1500-"]


def _give_up(server: FileServer, home: Path, digest: str | None = None) -> None:
    """A download that ends after 1000 bytes, and leaves them."""
    server.cuts = [1000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "ATTEMPTS", 1)
        with pytest.raises(ConnectionError, match="ended after 1000 of 10247 bytes"):
            get_file("w.bin", server.url, file_hash=digest)
    assert not (home / "datasets" / "w.bin").exists()
    server.requests.clear()


@pytest.mark.parametrize("digest", [None, SHA256])
def test_the_next_call_goes_on_as_well(server: FileServer, home: Path, digest: str | None) -> None:
    _give_up(server, home, digest)
    assert Path(get_file("w.bin", server.url, file_hash=digest)).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]
    assert _names(home / "datasets") == {"w.bin"}


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, home: Path) -> None:
    _give_up(server, home)
    server.content, server.etag = CONTENT[::-1], '"2"'
    assert Path(get_file("w.bin", server.url)).read_bytes() == CONTENT[::-1]


def test_a_file_that_changed_unsaid_is_noticed_by_its_digest(server: FileServer, home: Path) -> None:
    server.etag = ""
    server.content = CONTENT[::-1]
    _give_up(server, home, SHA256)
    server.content = CONTENT
    assert Path(get_file("w.bin", server.url, file_hash=SHA256)).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", ""]


def test_without_mark_and_digest_nothing_is_resumed(server: FileServer, home: Path) -> None:
    server.etag = ""
    _give_up(server, home)
    assert Path(get_file("w.bin", server.url)).read_bytes() == CONTENT
    assert server.requests == [""]


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, home: Path) -> None:
    server.ranges = False
    _give_up(server, home)
    assert Path(get_file("w.bin", server.url)).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]


def test_a_partial_file_that_is_whole_is_taken(server: FileServer, home: Path) -> None:
    _give_up(server, home)
    (home / "datasets" / ".w.bin.part").write_bytes(CONTENT)
    assert Path(get_file("w.bin", server.url)).read_bytes() == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]


def test_other_bytes_than_expected_are_refused_and_not_kept(server: FileServer, home: Path) -> None:
    server.content = b"something else"
    with pytest.raises(ValueError, match=r"weights\.bin does not hold the file expected: its MD5 is not") as caught:
        get_file("w.bin", server.url, file_hash=MD5)
    assert server.url in str(caught.value)
    assert not _names(home / "datasets")


def test_a_damaged_file_in_the_cache_is_fetched_anew(server: FileServer, home: Path) -> None:
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "w.bin").write_bytes(b"damaged")
    assert Path(get_file("w.bin", server.url, file_hash=SHA256)).read_bytes() == CONTENT


def test_a_new_copy_is_fetched_where_that_is_asked_for(server: FileServer) -> None:
    get_file("w.bin", server.url)
    server.content = b"newer"
    assert Path(get_file("w.bin", server.url, force_download=True)).read_bytes() == b"newer"


def test_an_answer_of_error_is_told(server: FileServer, home: Path) -> None:
    server.status = 404
    with pytest.raises(ConnectionError, match="the server answers 404 Not Found") as caught:
        get_file("w.bin", server.url, cache_subdir="models")
    assert server.url in str(caught.value)
    assert str(home / "models" / "w.bin") in str(caught.value)
    assert not _names(home / "models")


def test_offline_one_sentence_says_what_to_do(server: FileServer, home: Path) -> None:
    with serving(b"") as gone:
        pass
    with pytest.raises(ConnectionError) as caught:
        get_file("w.bin", gone.url, cache_subdir="models")
    text = str(caught.value)
    assert text.startswith(f"Cannot download {gone.url}: ")
    assert "refused" in text
    assert text.endswith(f"Where this machine has no network, put the file at {home / 'models' / 'w.bin'}.")
    assert "object at 0x" not in text


def test_a_server_that_says_no_more_is_left(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    released = threading.Event()
    server.before_end = released.wait
    try:
        with pytest.raises(ConnectionError, match=r"timed out|in time"):
            get_file("w.bin", server.url)
    finally:
        released.set()


def test_two_processes_fetch_a_file_once(server: FileServer, home: Path) -> None:
    halfway, released = threading.Event(), threading.Event()
    server.before_end = lambda: (halfway.set(), released.wait(20))
    command = [sys.executable, "-c", f"from engine.utils import get_file; print(get_file('w.bin', {server.url!r}))"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert halfway.wait(30)
    second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(2)  # it waits for the first
    released.set()
    for process in (first, second):
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert output.strip() == str(home / "datasets" / "w.bin")
    assert server.requests == [""]
    assert (home / "datasets" / "w.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_to_is_named(server: FileServer, home: Path) -> None:
    home.write_text("a file in the way")
    with pytest.raises(OSError, match="BEAGLE_HOME names another folder") as caught:
        get_file("w.bin", server.url)
    assert str(home) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fname": "w.bin"}, "origin"),
        ({"fname": "a/b", "origin": "http://localhost/x"}, "name of a file"),
        ({"origin": "http://localhost/"}, "name of a file"),
        ({"origin": "http://localhost/x", "hash_algorithm": "crc"}, "hash_algorithm"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_file(**arguments)


def _zipped(name: str = "folder/a.txt") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "hello")
    return buffer.getvalue()


def _tarred(name: str = "folder/a.txt") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [_zipped(), _tarred()], ids=["zip", "tar"])
def test_an_archive_is_unpacked_once(server: FileServer, home: Path, content: bytes) -> None:
    server.content = content
    folders = {get_file("set.zip", server.url, extract=True) for _ in range(2)}
    assert folders == {str(home / "datasets" / "set_extracted")}
    assert (home / "datasets" / "set_extracted" / "folder" / "a.txt").read_text() == "hello"
    assert len(server.requests) == 1


def test_an_archive_writes_nothing_outside_its_folder(server: FileServer, home: Path) -> None:
    server.content = _tarred("../evil.txt")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        get_file("set", server.url, extract=True)
    assert _names(home / "datasets") == {"set_archive"}


def test_a_file_that_is_no_archive_is_refused(server: FileServer) -> None:
    with pytest.raises(ValueError, match="no archive of the formats tar, zip"):
        get_file("set", server.url, extract=True)
