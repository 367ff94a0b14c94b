"""The scenarios, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clients.load.malformed import KINDS
from tests.faults import checks
from tests.faults.behaviour import Marker
from tests.faults.deployment import Layout
from tests.faults.pictures import PoisonedPictures
from tests.faults.scenario import Scenario
from tests.faults.server_faults import (
    ConnectionsCut,
    ConnectionsKilled,
    FailedOver,
    RepliesDelayed,
    RepliesLost,
    RepliesSilent,
    ServerFull,
    ServerRestarted,
)
from tests.faults.web_faults import EachChildKilled, WebMasterKilled, WebProcessKilled, WebsRolled
from tests.faults.worker_faults import WorkerKilled, WorkersRolled, WorkerStopped

BALANCED = Layout()
QUICK = Layout(batch_s=0.02)
# The limit on computing is longer than a worker is stopped for, or it would end itself before it hands anything in.
UNWATCHED = Layout(server="redis-server", supervised=False, batch_s=0.1, compute_limit_s=30.0)
DIRECT = Layout(
    server="redis-server",
    persistent=True,
    balanced=False,
    web_processes=2,
    supervised=False,
    settings=(("BEAGLE_UPLOAD_PAUSE_S", "1"),),
)
FORGETFUL = Layout(balanced=False)
PROXIED = Layout(proxied=True, balanced=False)
WATCHED = Layout(server="redis-server", watched=True, balanced=False)
TOGETHER = Layout(together=True, settings=(("BEAGLE_WEB_PROCESSES", "2"),), batch_s=0.05)  # none is ever idle
FRAGILE = Layout(workers=4, compute_limit_s=0.5, batch_s=0.08)
CROWDED = Layout(batch_s=0.3)

MALFORMED: dict[str, Any] = {"malformed_share": 0.3, "forms": ("multipart", "raw", "json")}
# nginx waits long for a body that stops arriving.
BRISK = {"malformed_kinds": tuple(kind.name for kind in KINDS if kind.name != "cut and stalled")}
CULPRITS = (
    (Marker.RAISES,),
    (Marker.SEGFAULTS, Marker.SEGFAULTS, Marker.SEGFAULTS),
    (Marker.NOT_A_NUMBER,),
    (Marker.RAISES, Marker.RAISES, Marker.RAISES),
    (Marker.HANGS,),
    (Marker.EXITS,),
    (Marker.HANGS_LOCKED,),
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "workers-killed-supervised",
            QUICK,
            lambda: [WorkerKilled(2.0, first_s=0.5)],
            seconds=8.0,
            recovery_s=0.3,
            alone=True,
        ),
        Scenario("web-processes-killed-behind-nginx", BALANCED, lambda: [WebProcessKilled(1.0)], seconds=6.0),
        Scenario("web-masters-killed-behind-nginx", BALANCED, lambda: [WebMasterKilled(1.0)], seconds=6.0),
        Scenario("rolling-restart", BALANCED, lambda: [WorkersRolled(0.3, most=1), WebsRolled(0.3, most=1)]),
        Scenario("connections-killed", BALANCED, lambda: [ConnectionsKilled(1.0, first_s=0.5)]),
        Scenario(
            "malformed-bodies-behind-nginx",
            BALANCED,
            load=MALFORMED | BRISK,
            checks=[checks.malformed_were_sent],
        ),
        Scenario(
            "server-full",
            BALANCED,
            lambda: [ServerFull(1.5, full_s=1.5, first_s=0.5)],
            checks=[checks.the_fault_was_felt],
        ),
        Scenario("workers-killed-by-themselves", UNWATCHED, lambda: [WorkerKilled(2.0, first_s=0.5)], seconds=8.0),
        Scenario(
            "worker-stopped",
            UNWATCHED,
            lambda: [WorkerStopped(1.0, stopped_s=10.0, first_s=0.3)],
            load={"clients": 24},  # twice what is computed at a time: no worker is idle
            seconds=12.0,
            checks=[checks.late_finishes_were_refused],
        ),
        Scenario("malformed-bodies", DIRECT, load=MALFORMED, checks=[checks.malformed_were_sent]),
        Scenario("web-processes-killed", DIRECT, lambda: [WebProcessKilled(1.0)]),
        Scenario(
            "server-restarted-with-its-data",
            DIRECT,
            lambda: [ServerRestarted(2.0, away_s=0.7, first_s=0.5)],
            seconds=8.0,
            checks=[checks.the_fault_was_felt],
        ),
        Scenario(
            "server-restarted-empty",
            FORGETFUL,
            lambda: [ServerRestarted(2.0, away_s=0.7, first_s=0.5)],
            seconds=8.0,
            checks=[checks.the_fault_was_felt],
        ),
        Scenario(
            "network-between",
            PROXIED,
            lambda: [
                RepliesDelayed(20.0, lasts_s=1.0, first_s=0.3),
                ConnectionsCut(20.0, lasts_s=0.0, first_s=2.0),
                RepliesLost(20.0, lasts_s=0.3, first_s=3.0),
                RepliesSilent(20.0, lasts_s=1.5, first_s=5.0),
            ],
            seconds=10.0,
        ),
        Scenario("failed-over", WATCHED, lambda: [FailedOver(1.0, first_s=0.5, most=1)], seconds=7.0),
        Scenario("each-child-of-the-supervisor-killed", TOGETHER, lambda: [EachChildKilled(1.0, most=1)], seconds=9.0),
        Scenario(
            "images-that-break-the-model",
            FRAGILE,
            load={"clients": 32},  # twice what is computed at a time: batches are full
            pictures=lambda: PoisonedPictures(CULPRITS, every=60),
            seconds=8.0,
            checks=[checks.culprits_were_found_out],
        ),
        Scenario(
            "clients-hanging-up",
            CROWDED,
            load={"clients": 60, "hang_up_share": 0.5, "hang_up_after_s": 0.1},
            checks=[checks.what_left_in_time_was_not_taken_on],
            alone=True,
        ),
    )
}

# For hours: everything at once, at random.
EVERYTHING = Scenario(
    "everything-at-once",
    Layout(proxied=True, persistent=True, workers=4, batch_s=0.03, compute_limit_s=2.0),
    lambda: [
        WorkerKilled(7.0),
        WorkerStopped(31.0, stopped_s=10.0),
        WorkersRolled(61.0),
        WebProcessKilled(23.0),
        WebMasterKilled(53.0),
        WebsRolled(71.0),
        ConnectionsKilled(13.0),
        ServerRestarted(41.0, away_s=1.0),
        ServerFull(37.0, full_s=2.0),
        RepliesDelayed(19.0, lasts_s=2.0),
        ConnectionsCut(17.0, lasts_s=0.0),
        RepliesLost(29.0, lasts_s=0.3),
        RepliesSilent(43.0, lasts_s=1.5),
    ],
    load=MALFORMED | BRISK | {"malformed_share": 0.1, "hang_up_share": 0.1, "hang_up_after_s": 0.05},
    seconds=60.0,
)

# Negative controls: what the audit must not let pass.
WITHOUT_LEASES = Scenario(
    "control-without-leases",
    Layout(balanced=False, supervised=False, workers=2, batch_s=0.1, lease_ms=600_000, deadline_s=3.0),
    lambda: [WorkerKilled(1.0, first_s=0.2)],
    seconds=4.0,
)
LYING = replace(
    WITHOUT_LEASES,
    name="control-with-a-lying-model",
    layout=Layout(balanced=False, supervised=False, workers=2, wrong_every=7),
    faults=tuple,
    seconds=2.0,
)
CONTROLS = {scenario.name: scenario for scenario in (WITHOUT_LEASES, LYING)}
