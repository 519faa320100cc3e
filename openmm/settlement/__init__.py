"""What it came to: double-entry ledger, fees, P&L, reconciliation, report."""
