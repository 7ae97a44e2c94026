"""Arguments of the kernel of a transformer stack, and the shape that its code depends on."""

from dataclasses import dataclass
from enum import IntEnum, auto

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.products import row_bytes

ENTRY = "stack"
"""Name of the kernel."""


@dataclass(frozen=True, slots=True)
class StackShape:
    """What the code of a stack depends on."""

    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    norm_eps: float
    residual_scale: float
    rotary: bool
    bf16_cache: bool
    """Whether keys and values are kept in bfloat16, instead of float32."""

    @property
    def queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def qkv(self) -> int:
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    def row_bytes(self, arithmetic: Arithmetic) -> int:
        """Return the bytes from one row that a product takes to the next."""
        return row_bytes(arithmetic, max(self.hidden, self.queries, self.ffn))


class StackArgument(IntEnum):
    """Places of the arguments in an array of 64-bit integers. Strides are in numbers, unless they say otherwise."""

    COUNTER = 0
    """Address of the barrier's counter."""
    STREAMS = auto()
    COUNT = auto()
    """Positions of each stream."""
    LAYERS = auto()
    TABLE = auto()
    """Address of the addresses of the weights; see `Weight`."""
    FIRST_NORM = auto()
    HEIGHT = auto()
    """Rows of a tile."""
    TILES = auto()
    X = auto()
    """(rows, hidden): the residual stream, which is updated."""
    NORMED = auto()
    """(rows, hidden): the result."""
    ROUNDED = auto()
    """Rows that a product takes, `StackShape.row_bytes` apart."""
    ROW_SCALES = auto()
    ROW_SUMS = auto()
    QKV = auto()
    """(rows, qkv)."""
    MIXED = auto()
    """(rows, queries): the result of attention."""
    WIDE = auto()
    """(rows, ffn)."""
    UPDATE = auto()
    """(rows, hidden): what is added to the residual stream. Zeros at first."""
    SCORES = auto()
    """(threads, SCORES_STRIDE)."""
    SCORES_STRIDE = auto()
    COS = auto()
    """(positions, head_dim)."""
    SIN = auto()
    CACHES = auto()
    """Address of five integers for each stream; see `CachePlace`. Zero without caches."""
    SOLVER = auto()
    """Address of the arguments of the solver, whose velocities the stack predicts; see `SolverArgument`. Or zero."""


class Weight(IntEnum):
    """Places of a layer's addresses."""

    QKV = 0
    QKV_SCALES = auto()
    OUT = auto()
    OUT_SCALES = auto()
    MLP_NORM = auto()
    GATE_UP = auto()
    GATE_UP_SCALES = auto()
    DOWN = auto()
    DOWN_SCALES = auto()
    NEXT_NORM = auto()
    """Of the next layer, or the last norm."""


class CachePlace(IntEnum):
    """Places of what describes the cache of a stream."""

    KEYS = 0
    """(layers, kv_heads, positions, head_dim)."""
    VALUES = auto()
    LAYER_STRIDE = auto()
    HEAD_STRIDE = auto()
    LENGTH = auto()
    """Positions filled before."""
