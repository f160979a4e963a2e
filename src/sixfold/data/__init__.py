"""Phase 2, data: events with two clocks, contracts on them, labels that mature, splits."""

from sixfold._core.table import Table
from sixfold.data.calendar import Calendar
from sixfold.data.contract import Contract
from sixfold.data.events import Events, Field
from sixfold.data.labels import Label
from sixfold.data.log import Log
from sixfold.data.rules import Rule, rule_label
from sixfold.data.split import TimeSplit

__all__ = ["Calendar", "Contract", "Events", "Field", "Label", "Log", "Rule", "Table", "TimeSplit", "rule_label"]
