"""A whole transformer stack as one kernel: all layers in one parallel region, with barriers between the phases."""

from typing import Any

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.attention import write_attend, write_copy, write_rotate
from voxcli.voxcpm.kernels.cpu.ir import F32, I8, I16, I64, POINTER, VOID, Array, Code, Value
from voxcli.voxcpm.kernels.cpu.products import PAIR, tile_heights, write_product
from voxcli.voxcpm.kernels.cpu.rows import write_norm_row, write_round_row
from voxcli.voxcpm.kernels.cpu.solver import (
    SolverArgument,
    columns_of,
    write_solver_inputs,
    write_solver_step,
    write_velocities,
)
from voxcli.voxcpm.kernels.cpu.stack_arguments import ENTRY, CachePlace, StackArgument, StackShape, Weight
from voxcli.voxcpm.kernels.cpu.threads import Team, write_barrier


def write_stack(module: ir.Module, shape: StackShape, arithmetic: Arithmetic) -> None:
    """Write the kernel, whose argument is the address of an array as `StackArgument` describes it."""
    write_barrier(module)
    for rows in tile_heights(arithmetic):
        for gated in (False, True):
            write_product(module, arithmetic, rows, shape.row_bytes(arithmetic), gated=gated)
    for width in {shape.hidden, shape.queries, shape.ffn}:
        write_round_row(module, arithmetic, width)
    write_norm_row(module, shape.hidden, shape.norm_eps, shape.residual_scale)
    kept = I16 if shape.bf16_cache else F32
    write_rotate(module, shape.head_dim)
    write_copy(module, shape.head_dim, kept)
    write_attend(module, "attend", shape.head_dim, F32)
    write_attend(module, "attend_cached", shape.head_dim, kept)
    for write in (write_solver_inputs, write_velocities):
        write(module, shape.hidden)
    write_solver_step(module)
    _StackWriter(module, shape, arithmetic, kept).write()


class _StackWriter:
    """Writes the function that calls the others."""

    def __init__(self, module: ir.Module, shape: StackShape, arithmetic: Arithmetic, kept: Any) -> None:
        self._code = Code(module, ENTRY, [POINTER], exported=True)
        self._shape, self._arithmetic, self._cache_type = shape, arithmetic, kept
        self._given = self._code.array(self._code.arguments[0], I64)
        self._team = Team(self._code, self._address(StackArgument.COUNTER))
        self._rows = self._number(StackArgument.STREAMS) * self._number(StackArgument.COUNT)

    def write(self) -> None:
        """Write one evaluation, or as many as a solver makes."""
        code = self._code
        solver = code.array(self._address(StackArgument.SOLVER), I64)
        solves = code.constant(I64, 0) < self._number(StackArgument.SOLVER)
        evaluations = code.variable(code.constant(I64, 1))
        with code.when(solves):
            evaluations.set(solver[SolverArgument.EVALUATIONS])
        with code.loop(0, evaluations.get()) as evaluation:
            with code.when(solves):
                blocks = self._shape.hidden // columns_of(self._shape.hidden)
                self._call_shared("solver_inputs", code.constant(I64, blocks), evaluation)
            self._write_layers()
            with code.when(solves):
                self._call_shared("velocities", solver[SolverArgument.WIDTH], evaluation)
                self._call_shared("solver_step", solver[SolverArgument.STREAMS], evaluation)
        code.finish()

    def _call_shared(self, name: str, count: Value, evaluation: Value) -> None:
        """Call a function of the solver for this thread's share of its work, and wait for the others."""
        start, end = self._team.share(count)
        self._code.call(name, VOID, self._given.address, evaluation, start, end)
        self._team.wait()

    def _write_layers(self) -> None:
        code, shape, team = self._code, self._shape, self._team
        self._norm(self._address(StackArgument.FIRST_NORM))
        team.wait()
        with code.loop(0, self._number(StackArgument.LAYERS)) as layer:
            table = code.array(self._address(StackArgument.TABLE), POINTER).at(layer * len(Weight))
            self._multiply(table, Weight.QKV, shape.hidden, shape.qkv, StackArgument.QKV)
            team.wait()
            self._rotate_and_keep(layer)
            team.wait()
            self._attend(layer)
            team.wait()
            self._round(StackArgument.MIXED, shape.queries)
            team.wait()
            self._multiply(table, Weight.OUT, shape.queries, shape.hidden, StackArgument.UPDATE)
            team.wait()
            self._norm(table[Weight.MLP_NORM])
            team.wait()
            self._multiply(table, Weight.GATE_UP, shape.hidden, shape.ffn, StackArgument.WIDE, gated=True)
            team.wait()
            self._round(StackArgument.WIDE, shape.ffn)
            team.wait()
            self._multiply(table, Weight.DOWN, shape.ffn, shape.hidden, StackArgument.UPDATE)
            team.wait()
            self._norm(table[Weight.NEXT_NORM])
            team.wait()

    def _number(self, argument: StackArgument) -> Value:
        return self._given[argument]

    def _address(self, argument: StackArgument) -> Value:
        return self._given.load(POINTER, argument)

    def _floats(self, argument: StackArgument) -> Array:
        return self._code.array(self._address(argument), F32)

    def _rounded_row(self, row: Value) -> list[Value]:
        """Return the addresses of a row that a product takes, of its scale and of its sum."""
        code = self._code
        rounded = code.array(self._address(StackArgument.ROUNDED), I8).at(row * self._shape.row_bytes(self._arithmetic))
        scales, sums = self._floats(StackArgument.ROW_SCALES), self._floats(StackArgument.ROW_SUMS)
        return [rounded.address, scales.at(row).address, sums.at(row).address]

    def _round(self, source: StackArgument, width: int) -> None:
        with self._code.loop(*self._team.share(self._rows)) as row:
            own = self._floats(source).at(row * width).address
            self._code.call(f"round_row_{width}", VOID, own, *self._rounded_row(row))

    def _norm(self, weight: Value) -> None:
        hidden = self._shape.hidden
        with self._code.loop(*self._team.share(self._rows)) as row:
            x, update, normed = (
                self._floats(argument).at(row * hidden).address
                for argument in (StackArgument.X, StackArgument.UPDATE, StackArgument.NORMED)
            )
            self._code.call(f"norm_row_{hidden}", VOID, x, update, weight, normed)
            self._code.call(f"round_row_{hidden}", VOID, normed, *self._rounded_row(row))

    def _multiply(
        self, table: Array, weight: Weight, inputs: int, outputs: int, out: StackArgument, *, gated: bool = False
    ) -> None:
        code, arithmetic = self._code, self._arithmetic
        pairs = outputs // (arithmetic.outputs if gated else arithmetic.outputs * PAIR)
        start, end = self._team.share(code.constant(I64, pairs))
        apart = pairs if gated else 1
        arguments = [
            self._address(StackArgument.ROUNDED),
            self._number(StackArgument.TILES),
            table[weight],
            code.constant(I64, -(-inputs // arithmetic.group)),
            table[weight + 1],
            self._address(StackArgument.ROW_SCALES),
            self._address(StackArgument.ROW_SUMS),
            self._address(out),
            code.constant(I64, outputs),
            start,
            end,
            code.constant(I64, apart),
        ]
        for rows in tile_heights(arithmetic):
            with code.when(self._number(StackArgument.HEIGHT).equals(rows)):
                name = f"product_{arithmetic.name}_{rows}{'_gated' if gated else ''}"
                code.call(name, VOID, *arguments)

    def _rotate_and_keep(self, layer: Value) -> None:
        """Rotate queries and keys, and append keys and values to the caches."""
        code, shape = self._code, self._shape
        heads = shape.heads + 2 * shape.kv_heads
        with code.loop(*self._team.share(self._rows * heads)) as unit:
            row, head = unit // heads, unit % heads
            own = self._floats(StackArgument.QKV).at(row * shape.qkv + head * shape.head_dim).address
            if shape.rotary:
                with code.when(head < shape.heads + shape.kv_heads):
                    place = self._position_of(row) * shape.head_dim
                    tables = (self._floats(table).at(place).address for table in (StackArgument.COS, StackArgument.SIN))
                    code.call("rotate", VOID, own, *tables)
            with code.when(self._has_caches()), code.when(head >= shape.heads):
                kind = (head - shape.heads) // shape.kv_heads
                cache = self._cache_of(row // self._number(StackArgument.COUNT))
                kept_head = (head - shape.heads) % shape.kv_heads
                target = self._kept(cache, kind, layer, kept_head).at(self._position_of(row) * shape.head_dim)
                code.call("copy_head", VOID, own, target.address)

    def _attend(self, layer: Value) -> None:
        code, shape, count = self._code, self._shape, self._number(StackArgument.COUNT)
        scores = (
            self._floats(StackArgument.SCORES).at(self._team.number * self._number(StackArgument.SCORES_STRIDE)).address
        )
        with code.loop(*self._team.share(self._number(StackArgument.STREAMS) * shape.heads)) as unit:
            stream, head = unit // shape.heads, unit % shape.heads
            shared = head // (shape.heads // shape.kv_heads)
            qkv = self._floats(StackArgument.QKV).at(stream * count * shape.qkv)
            out = self._floats(StackArgument.MIXED).at(stream * count * shape.queries + head * shape.head_dim).address
            query, strides = qkv.at(head * shape.head_dim).address, code.constant(I64, shape.qkv)
            out_stride = code.constant(I64, shape.queries)
            with code.builder.if_else(self._has_caches().raw) as (cached, plain):
                with cached:
                    cache = self._cache_of(stream)
                    keys, values = (
                        self._kept(cache, code.constant(I64, kind), layer, shared).address for kind in (0, 1)
                    )
                    apart = code.constant(I64, shape.head_dim)
                    limits = cache[CachePlace.LENGTH] + 1, code.constant(I64, 1)
                    given = query, strides, count, keys, values, apart, *limits, out, out_stride, scores
                    code.call("attend_cached", VOID, *given)
                with plain:
                    keys, values = (
                        qkv.at((shared + (shape.heads + kind * shape.kv_heads)) * shape.head_dim).address
                        for kind in (0, 1)
                    )
                    limits = count, code.constant(I64, 0)
                    given = query, strides, count, keys, values, strides, *limits, out, out_stride, scores
                    code.call("attend", VOID, *given)

    def _has_caches(self) -> Value:
        return self._code.constant(I64, 0) < self._number(StackArgument.CACHES)

    def _cache_of(self, stream: Value) -> Array:
        return self._code.array(self._address(StackArgument.CACHES), I64).at(stream * len(CachePlace))

    def _kept(self, cache: Array, kind: Value, layer: Value, head: Value) -> Array:
        """Return the keys (kind 0) or the values (kind 1) of a head."""
        addresses = cache.of(POINTER)
        start = kind.equals(0).choose(addresses[CachePlace.KEYS], addresses[CachePlace.VALUES])
        return self._code.array(start, self._cache_type).at(
            layer * cache[CachePlace.LAYER_STRIDE] + head * cache[CachePlace.HEAD_STRIDE]
        )

    def _position_of(self, row: Value) -> Value:
        """Return the position of a row in its stream."""
        code, count = self._code, self._number(StackArgument.COUNT)
        place = code.variable(row % count)
        with code.when(self._has_caches()):
            place.add(self._cache_of(row // count)[CachePlace.LENGTH])
        return place.get()
