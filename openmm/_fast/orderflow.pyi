from typing import final

@final
class OrderFlow:
    def __new__(cls, half_life_ns: int) -> OrderFlow: ...
    @property
    def ofi_ppm(self) -> int: ...
