"""Our fill models against hftbacktest's, on the same orders in the same market.

`python -m bench --only bench_fills` holds the share of orders filled alike against its gates, and
lets no difference stand whose rule is not known; `python -m bench.compare_fills` prints the table.
Everything is seeded: the same checkout gives the same figures.
"""

from __future__ import annotations

from bench.compare_fills import compare, markets
from bench.fill_schedule import schedule


def gate_fills() -> dict[str, float]:
    """Compare all models on each market.

    Returns: {"fills/alike/<model>/<exchange>/<market>": share of the filled orders that are filled
        alike, "fills/unexplained/<market>": orders that no known rule explains}.

    Raises:
        subprocess.CalledProcessError: the peers do not install or run.
    """
    values: dict[str, float] = {}
    for name, events in markets():
        found = compare(events, schedule(events))
        values[f"fills/unexplained/{name}"] = sum(one.unexplained for one in found)
        values[f"fills/filled/{name}"] = min(one.filled for one in found)
        values |= {f"fills/alike/{one.name}/{name}": one.share for one in found}
    return values
