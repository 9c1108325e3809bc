"""What authors test with: the conformance kit, synthetic markets, and one decision at a time.

    from framework.testing import check_plugin

    report = check_plugin(MyStrategy)
    assert report.passed, str(report)

kit         check_plugin        report   what it found
markets     synthetic_market    decisions   decide_once
strategies, slippage, rules     the checks of each kind;  contract, columns, runs, data: what they share
"""

from framework.testing.decisions import Decision, Intent, decide_once
from framework.testing.kit import check_plugin
from framework.testing.markets import synthetic_market
from framework.testing.report import Check, Report

__all__ = ["Check", "Decision", "Intent", "Report", "check_plugin", "decide_once", "synthetic_market"]
