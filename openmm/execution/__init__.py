"""Make it so: wanted quotes against live orders, order lifecycle, throttle, recovery."""
