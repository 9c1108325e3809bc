"""What authors test with: the conformance kit, synthetic markets, and one decision at a time.

    from framework.testing import check_plugin

    report = check_plugin(MyStrategy)
    assert report.passed, str(report)

kit         check_plugin        report   what it found
markets     synthetic_market    decisions   decide_once
venue       MemoryVenue, from which the author of a broker derives
strategies, slippage, rules, broker     the checks of each kind;  contract, columns, runs, data, desk: what they share
"""

from framework.testing.decisions import Decision, Intent, decide_all_once, decide_once
from framework.testing.kit import check_plugin
from framework.testing.markets import synthetic_market
from framework.testing.report import Check, Report
from framework.testing.venue import MemoryVenue

__all__ = ["Check", "Decision", "Intent", "MemoryVenue", "Report", "check_plugin", "decide_all_once", "decide_once",
           "synthetic_market"]
