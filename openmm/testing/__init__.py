"""Public fixtures: the canonical workload, the gate table, the callgrind runner."""
