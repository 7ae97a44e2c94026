"""Functions written in LLVM's intermediate representation: values with operators, pointers, loops and local variables.

Arithmetic on single numbers is written as plain loops, which LLVM turns into vectors of the width that the processor
has. Unless a function is exact, its floating-point sums may be reordered when it is compiled, but not when it runs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from llvmlite import ir

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32 = ir.FloatType()
F16 = ir.HalfType()
VOID = ir.VoidType()
POINTER = ir.PointerType()

_REORDERED = ("reassoc", "contract", "nsz")
"""What LLVM may change in floating-point arithmetic that is not exact."""


class _BFloat(ir.types.Type):  # type: ignore[misc]
    """bfloat16, which only products take."""

    def _to_string(self) -> str:
        return "bfloat"


BF16 = _BFloat()

Number: TypeAlias = "Value | int | float"


class Value:
    """A number, a vector or an address within a function. Integers are signed."""

    def __init__(self, code: "Code", raw: Any) -> None:
        self.code, self.raw = code, raw

    @property
    def type(self) -> Any:
        return self.raw.type

    def __add__(self, other: Number) -> "Value":
        return self._binary(other, "add", "fadd")

    def __sub__(self, other: Number) -> "Value":
        return self._binary(other, "sub", "fsub")

    def __mul__(self, other: Number) -> "Value":
        return self._binary(other, "mul", "fmul")

    def __truediv__(self, other: Number) -> "Value":
        return self._binary(other, "sdiv", "fdiv")

    def __floordiv__(self, other: Number) -> "Value":
        """Divide integers that are not negative."""
        return self._binary(other, "udiv", "fdiv")

    def __mod__(self, other: Number) -> "Value":
        return self._binary(other, "urem", "frem")

    def __and__(self, other: Number) -> "Value":
        return self._binary(other, "and_", "and_")

    def __xor__(self, other: Number) -> "Value":
        return self._binary(other, "xor", "xor")

    def __lshift__(self, other: Number) -> "Value":
        return self._binary(other, "shl", "shl")

    def __rshift__(self, other: Number) -> "Value":
        return self._binary(other, "lshr", "lshr")

    def __lt__(self, other: Number) -> "Value":
        return self._compared("<", other)

    def __ge__(self, other: Number) -> "Value":
        return self._compared(">=", other)

    def equals(self, other: Number) -> "Value":
        return self._compared("==", other)

    def minimum(self, other: Number) -> "Value":
        other = self._like(other)
        return (self < other).choose(self, other)

    def choose(self, yes: "Value", no: "Value") -> "Value":
        """Return one of two values by this condition."""
        return self.code.value(self.code.builder.select(self.raw, yes.raw, no.raw))

    def to(self, type_: Any) -> "Value":
        """Convert between number types. Integers are extended with their sign."""
        builder, own = self.code.builder, self.type
        if own == type_:
            return self
        if _is_float(own):
            return self.code.value(builder.fptosi(self.raw, type_))
        if _is_float(type_):
            return self.code.value(builder.sitofp(self.raw, type_))
        wider = getattr(type_, "element", type_).width > getattr(own, "element", own).width
        return self.code.value((builder.sext if wider else builder.trunc)(self.raw, type_))

    def bits_as(self, type_: Any) -> "Value":
        return self.code.value(self.code.builder.bitcast(self.raw, type_))

    def filled(self, count: int) -> "Value":
        """Return a vector of `count` times this number."""
        builder, vector = self.code.builder, ir.VectorType(self.type, count)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), self.raw, I32(0))
        mask = ir.Constant(ir.VectorType(I32, count), [0] * count)
        return self.code.value(builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask))

    def _like(self, other: Number) -> "Value":
        return other if isinstance(other, Value) else self.code.constant(self.type, other)

    def _binary(self, other: Number, integer: str, floating: str) -> "Value":
        builder, right = self.code.builder, self._like(other).raw
        if _is_float(self.type):
            return self.code.value(getattr(builder, floating)(self.raw, right, flags=self.code.flags))
        return self.code.value(getattr(builder, integer)(self.raw, right))

    def _compared(self, sign: str, other: Number) -> "Value":
        builder, right = self.code.builder, self._like(other).raw
        compare = builder.fcmp_ordered if _is_float(self.type) else builder.icmp_signed
        return self.code.value(compare(sign, self.raw, right))


class Array:
    """Numbers of one type in memory."""

    def __init__(self, code: "Code", address: Value, type_: Any) -> None:
        self.code, self.address, self.type = code, address, type_

    def __getitem__(self, index: Number) -> Value:
        return self.load(self.type, index)

    def __setitem__(self, index: Number, value: Number) -> None:
        self.store(value if isinstance(value, Value) else self.code.constant(self.type, value), index)

    def load(self, type_: Any, index: Number, *, align: int | None = None) -> Value:
        """Read a value of any type at the place of an element."""
        at = self.at(index).address.raw
        return self.code.value(self.code.builder.load(at, typ=type_, align=align or _size_of(self.type)))

    def store(self, value: Value, index: Number, *, align: int | None = None) -> None:
        self.code.builder.store(value.raw, self.at(index).address.raw, align=align or _size_of(self.type))

    def at(self, index: Number) -> "Array":
        """Return the part that begins with an element."""
        number = index.to(I64).raw if isinstance(index, Value) else I64(index)
        moved = self.code.builder.gep(self.address.raw, [number], source_etype=self.type)
        return Array(self.code, self.code.value(moved), self.type)

    def of(self, type_: Any) -> "Array":
        """Return the same memory as numbers of another type."""
        return Array(self.code, self.address, type_)


class Variable:
    """A local variable."""

    def __init__(self, code: "Code", value: Value) -> None:
        self._code = code
        with code.builder.goto_entry_block():
            self._place = code.builder.alloca(value.type)
        self.set(value)

    def get(self) -> Value:
        return self._code.value(self._code.builder.load(self._place))

    def set(self, value: Value) -> None:
        self._code.builder.store(value.raw, self._place)

    def add(self, value: Value) -> None:
        self.set(self.get() + value)


class Code:
    """A function that is being written."""

    def __init__(
        self, module: ir.Module, name: str, types: Sequence[Any], *, exact: bool = False, exported: bool = False
    ) -> None:
        """
        Args:
            types: of the arguments.
            exact: whether floating-point operations are done one by one, in the order in which they are written.
            exported: whether it is called from outside of the module.
        """
        self.module = module
        self.flags = () if exact else _REORDERED
        self.function = ir.Function(module, ir.FunctionType(VOID, list(types)), name)
        self.function.attributes.add("nounwind")
        # Copies of large functions in their callers would double the time to compile.
        self.function.attributes.add("noinline")
        if not exported:
            self.function.linkage = "internal"
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.arguments = [self.value(argument) for argument in self.function.args]

    def value(self, raw: Any) -> Value:
        return Value(self, raw)

    def constant(self, type_: Any, number: float) -> Value:
        if isinstance(type_, ir.VectorType):
            return self.constant(type_.element, number).filled(type_.count)
        return self.value(ir.Constant(type_, float(number) if _is_float(type_) else int(number)))

    def array(self, address: Value, type_: Any) -> Array:
        return Array(self, address, type_)

    def variable(self, value: Value) -> Variable:
        return Variable(self, value)

    def local_array(self, type_: Any, count: int) -> Array:
        """Return uninitialized memory of this call, aligned to 64 bytes."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(type_, count)
        place.align = 64
        place.type = POINTER  # it would be one of this type only
        return Array(self, self.value(place), type_)

    @contextmanager
    def loop(self, start: Number, stop: Number, step: Number = 1) -> Iterator[Value]:
        """Repeat the block with an index from `start` up to `stop`, excluded."""
        first, end, width = (self._index(number) for number in (start, stop, step))
        builder = self.builder
        head, body, done = (self.function.append_basic_block(name) for name in ("head", "body", "done"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(I64)
        index.add_incoming(first, before)
        builder.cbranch(builder.icmp_signed("<", index, end), body, done)
        builder.position_at_end(body)
        yield self.value(index)
        index.add_incoming(builder.add(index, width, flags=("nsw",)), builder.block)
        builder.branch(head)
        builder.position_at_end(done)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the block only if a condition is true."""
        with self.builder.if_then(condition.raw):
            yield

    def call(self, name: str, returned: Any, *arguments: Value) -> Value:
        """Call a function by its name: of this module, of a library, or an intrinsic of LLVM."""
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(returned, [value.type for value in arguments]), name)
        return self.value(self.builder.call(found, [value.raw for value in arguments]))

    def prefetch(self, place: Array) -> None:
        """Fetch the cache line of an element into the second-level cache. It need not exist."""
        self.call("llvm.prefetch.p0", VOID, place.address, *(self.constant(I32, number) for number in (0, 2, 1)))

    def finish(self) -> ir.Function:
        """End the function."""
        self.builder.ret_void()
        return self.function

    def _index(self, number: Number) -> Any:
        return number.to(I64).raw if isinstance(number, Value) else I64(number)


def _is_float(type_: Any) -> bool:
    return getattr(type_, "element", type_) in (F32, F16)


def _size_of(type_: Any) -> int:
    sizes = {"float": 4, "half": 2, "bfloat": 2, "ptr": 8}
    return sizes.get(str(type_)) or type_.width // 8
