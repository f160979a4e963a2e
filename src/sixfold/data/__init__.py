"""Phase 2, data: events with two clocks, contracts on them, labels that mature, splits."""
