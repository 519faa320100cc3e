"""Market data as files that backtests and sweeps map into memory: convert, check, list, exchange.

Needs the extra `research` (numpy; pyarrow for Parquet). `load(path)` opens one file.
"""

from openmm.data.events import Events as Events
from openmm.data.events import Market as Market
from openmm.data.store import Header as Header
from openmm.data.store import Store as Store
from openmm.data.store import load as load
from openmm.data.store import write as write
