"""The supervisor with real children: restarts, back-off, giving up, stopping in order, dying with it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.processes import Running, alive, eventually, python, running

pytestmark = pytest.mark.alone

PREAMBLE = """
import sys
import service.child
from service.child import ChildSpec
from service.supervisor import Supervisor
from service.telemetry import configure_logging
configure_logging("info", "text")
service.child.FIRST_BACK_OFF_S = 0.01

def child(name, code, **more):
    return ChildSpec(name, [sys.executable, "-c", code], **more)
"""
# Children write their process id, a line a start.
SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); "
    "time.sleep(600)"
)


@contextlib.contextmanager
def supervised(folder: Path, code: str) -> Iterator[Running]:
    """Run a script that ends with the supervisor's status; its children are killed with it."""
    script = folder / "script.py"
    script.write_text(PREAMBLE + textwrap.dedent(code))
    with running(python(script), folder, {"PYTHONPATH": os.getcwd()}) as process:
        try:
            yield process
        finally:
            pids = [int(word) for word in process.out.split() if word.isdigit()]
            process.process.kill()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def pids_of(process: Running) -> list[int]:
    return [int(line) for line in process.out.splitlines() if line.isdigit()]


def test_a_child_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with supervised(tmp_path, f"sys.exit(Supervisor([child('one', {SLEEPER!r})]).run())") as supervisor:
        [first] = eventually(lambda: pids_of(supervisor), "the child has started")
        os.kill(first, signal.SIGKILL)
        second = eventually(lambda: pids_of(supervisor)[1:], "the child has started again")[0]
        assert alive(second)
        assert supervisor.terminate() == 0
        assert not alive(second)
        assert 'died child=one status="killed by SIGKILL"' in supervisor.err


@pytest.mark.parametrize(("death", "waits"), [(signal.SIGKILL, False), (signal.SIGSEGV, True)])
def test_one_that_was_ready_starts_again_at_once_where_it_was_killed_and_did_not_crash(
    tmp_path: Path, death: signal.Signals, waits: bool
) -> None:
    ready = f"from service.child import report_ready; report_ready('me'); {SLEEPER}"
    code = f"""
        service.child.FIRST_BACK_OFF_S = service.child.LONGEST_BACK_OFF_WHEN_READY_S = 600.0
        sys.exit(Supervisor([child('one', {ready!r}, reports_ready=True)]).run())
    """
    with supervised(tmp_path, code) as supervisor:
        [first] = eventually(lambda: pids_of(supervisor), "the child is ready")
        os.kill(first, death)
        eventually(lambda: "died child=one" in supervisor.err, "its death was seen")
        if waits:
            assert supervisor.terminate() == 0
            assert len(pids_of(supervisor)) == 1
        else:
            eventually(lambda: len(pids_of(supervisor)) == 2, "it runs again")


def test_it_gives_up_loudly_on_a_child_that_dies_at_once_every_time(tmp_path: Path) -> None:
    code = f"""
        specs = [child('good', {SLEEPER!r}), child('bad', "import sys; print('-', flush=True); sys.exit(3)")]
        sys.exit(Supervisor(specs).run())
    """
    with supervised(tmp_path, code) as supervisor:
        assert supervisor.wait() == 1
        assert supervisor.out.count("-") == 5
        assert "gives up" in supervisor.err
        assert "exit status 3" in supervisor.err
        assert not any(alive(pid) for pid in pids_of(supervisor)), "the good child ended too"


def test_it_gives_up_at_once_where_starting_again_is_hopeless(tmp_path: Path) -> None:
    bad = "import sys; print('-', flush=True); sys.exit(78)"
    code = f"sys.exit(Supervisor([child('bad', {bad!r}, hopeless=frozenset({{78}}))]).run())"
    with supervised(tmp_path, code) as supervisor:
        assert supervisor.wait() == 1
        assert supervisor.out.count("-") == 1
        assert "gives up" in supervisor.err


def test_a_program_that_does_not_exist_makes_it_give_up(tmp_path: Path) -> None:
    code = "sys.exit(Supervisor([ChildSpec('lost', ['/nowhere/program'])]).run())"
    with supervised(tmp_path, code) as supervisor:
        assert supervisor.wait() == 1
        assert "/nowhere/program" in supervisor.err


def test_a_child_that_became_ready_before_it_died_is_never_given_up(tmp_path: Path) -> None:
    dies = "from service.child import report_ready; report_ready('me')"
    code = f"""
        spec = child('mortal', {dies!r}, reports_ready=True)
        Supervisor([spec], on_death=lambda spec, report, crashed: print('died', report, flush=True)).run()
    """
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: supervisor.out.count("died me") > 5, "six deaths, each with the child's report")
        assert alive(supervisor.pid)


@pytest.mark.parametrize(
    ("death", "crashed"),
    [
        ("import ctypes; ctypes.string_at(0)", True),
        ("os.abort()", True),
        ("os._exit(3)", True),
        ("os._exit(0)", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", False),
        ("os.kill(os.getpid(), signal.SIGTERM)", False),
    ],
)
def test_whether_a_child_crashed_or_was_killed_is_told_with_its_death(
    tmp_path: Path, death: str, crashed: bool
) -> None:
    dies = f"import os, signal; from service.child import report_ready; report_ready('me'); {death}"
    code = f"""
        spec = child('mortal', {dies!r}, reports_ready=True)
        Supervisor([spec], on_death=lambda spec, report, crashed: print('crashed', crashed, flush=True)).run()
    """
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: supervisor.out.count(f"crashed {crashed}") > 1, "two deaths were told")
        assert f"crashed {not crashed}" not in supervisor.out


def test_a_child_whose_program_is_gone_is_given_up_though_it_once_was_ready(tmp_path: Path) -> None:
    program = tmp_path / "program"
    dies = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {os.getcwd()!r})
from service.child import report_ready
os.unlink(__file__)
report_ready("me")
"""
    program.write_text(dies)
    program.chmod(0o755)
    code = f"sys.exit(Supervisor([ChildSpec('once', [{str(program)!r}], reports_ready=True)]).run())"
    with supervised(tmp_path, code) as supervisor:
        assert supervisor.wait() == 1
        assert supervisor.err.count("died child=once") == 1
        assert "gives up: a child cannot be started child=once times=5 last=" in supervisor.err


def test_a_child_that_dies_before_it_is_ready_counts_as_failed_however_long_it_took(tmp_path: Path) -> None:
    code = """
        service.child.QUICK_S = 0.0
        sys.exit(Supervisor([child('slow', 'raise SystemExit(4)', reports_ready=True)]).run())
    """
    with supervised(tmp_path, code) as supervisor:
        assert supervisor.wait() == 1
        assert "gives up" in supervisor.err


def test_children_end_in_order_and_a_stubborn_one_is_killed(tmp_path: Path) -> None:
    code = f"""
        specs = [child('last', {SLEEPER!r}, stop_order=1), child('first', {STUBBORN!r}, grace_s=0.3)]
        sys.exit(Supervisor(specs).run())
    """
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: len(pids_of(supervisor)) == 2, "both children have started")
        assert supervisor.terminate() == 0
        log = supervisor.err
        assert "did not end in time and is killed child=first" in log
        assert log.index("ended child=first") < log.index("ended child=last")


def test_killing_a_child_kills_the_processes_that_it_started(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {STUBBORN}"
    code = f"sys.exit(Supervisor([child('parent', {parent!r}, grace_s=0.2)]).run())"
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: len(pids_of(supervisor)) == 2, "the child and its own child have started")
        assert supervisor.terminate() == 0
        eventually(lambda: not any(map(alive, pids_of(supervisor))), "both have ended")


def test_a_second_signal_kills_what_has_not_ended(tmp_path: Path) -> None:
    code = f"sys.exit(Supervisor([child('stubborn', {STUBBORN!r}, grace_s=600)]).run())"
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: pids_of(supervisor), "the child has started")
        supervisor.process.send_signal(signal.SIGINT)
        supervisor.process.send_signal(signal.SIGTERM)
        assert supervisor.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"sys.exit(Supervisor([child('a', {SLEEPER!r}), child('b', {SLEEPER!r})]).run())"
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: len(pids_of(supervisor)) == 2, "both children have started")
        pids = pids_of(supervisor)
        supervisor.process.kill()
        eventually(lambda: not any(map(alive, pids)), "the children have ended")


def test_the_next_child_waits_until_the_one_before_is_up(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        flag = Path({str(tmp_path / "up")!r})
        server = child('server', "import pathlib, time; time.sleep(0.3); "
                       "pathlib.Path({str(tmp_path / "up")!r}).touch(); time.sleep(600)", is_up=flag.exists)
        client = child('client', "import os, pathlib; print(os.getpid(), flush=True); "
                       "print('up:', pathlib.Path({str(tmp_path / "up")!r}).exists(), flush=True); "
                       "import time; time.sleep(600)")
        sys.exit(Supervisor([server, client]).run())
    """
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: "up:" in supervisor.out, "the client has started")
        assert "up: True" in supervisor.out


def test_ready_is_asked_only_when_every_reporting_child_has_reported(tmp_path: Path) -> None:
    reports = "import time; from service.child import report_ready; time.sleep(0.2); report_ready('x'); time.sleep(600)"
    code = f"""
        import time
        started, asked = time.monotonic(), []
        def on_ready():
            asked.append(time.monotonic() - started)
            print('asked', len(asked), min(asked) >= 0.2, flush=True)
            return len(asked) == 3
        sys.exit(Supervisor([child('r', {reports!r}, reports_ready=True)], on_ready=on_ready).run())
    """
    with supervised(tmp_path, code) as supervisor:
        eventually(lambda: "asked 3" in supervisor.out, "it has asked until the answer was yes")
        assert "asked 1 True" in supervisor.out
        assert supervisor.terminate() == 0
        assert "asked 4" not in supervisor.out
