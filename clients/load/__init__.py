"""The load generator and its ledger: `python -m clients.load URL IMAGE…`, and the same from Python."""

from clients.load.audit import Audit, FaultWindow, Rules, audit
from clients.load.ledger import Ledger, Row
from clients.load.load import Load, run
from clients.load.outcomes import Ending, Expectation, Verdict
from clients.load.pictures import FilePictures, NumberedPictures, Picture, Pictures
from clients.load.plan import Plan
from clients.load.tally import Report

__all__ = [
    "Audit",
    "Ending",
    "Expectation",
    "FaultWindow",
    "FilePictures",
    "Ledger",
    "Load",
    "NumberedPictures",
    "Picture",
    "Pictures",
    "Plan",
    "Report",
    "Row",
    "Rules",
    "Verdict",
    "audit",
    "run",
]
