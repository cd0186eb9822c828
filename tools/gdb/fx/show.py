"""How one register's value looks to a person: as integers, as floating-point numbers, and bit by bit.

Pure functions from numbers to text: nothing here reads the machine, so they are tested on the host too.
"""

import math
import struct

ROUNDING = ("to nearest", "down", "up", "toward zero")
EXCEPTIONS = ("invalid", "denormal", "divide", "overflow", "underflow", "precision")
PRECISION = ("24 bits", "reserved", "53 bits", "64 bits")
RIGHTS = ("open", "no access", "read only", "no access")
KEYS = 16
EXPONENT_BIAS, FRACTION_BITS = 16383, 63
VIEWS = ((4, "i", "int32"), (8, "q", "int64")), ((4, "f", "float"), (8, "d", "double"))


def exceptions(bits):
    return " ".join(name for i, name in enumerate(EXCEPTIONS) if bits >> i & 1)


def masks(bits):
    """Which exceptions are masked."""
    return "all exceptions masked" if bits & 0x3f == 0x3f else f"unmasked: {exceptions(~bits & 0x3f)}"


def mxcsr(value):
    raised = exceptions(value)
    extra = [text for bit, text in ((15, "flush to zero"), (6, "denormals are zero")) if value >> bit & 1]
    return ", ".join([f"round {ROUNDING[value >> 13 & 3]}", masks(value >> 7), *extra,
                      *([f"raised: {raised}"] if raised else [])])


def fcw(value):
    return f"round {ROUNDING[value >> 10 & 3]}, precision {PRECISION[value >> 8 & 3]}, {masks(value)}"


def fsw(value):
    raised = exceptions(value)
    return f"top of stack {value >> 11 & 7}" + (f", raised: {raised}" if raised else "")


def pkru(value):
    """Which keys are open."""
    rights = [RIGHTS[value >> 2 * key & 3] for key in range(KEYS)]
    groups = []
    for what in dict.fromkeys(rights):
        keys = [key for key in range(KEYS) if rights[key] == what]
        groups.append(f"{what}: {'all keys' if len(keys) == KEYS else 'key ' + ranges(keys)}")
    return "; ".join(groups)


def ranges(numbers):
    """1 2 3 7 as 1-3,7."""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def x87(value):
    """An 80-bit number."""
    sign, exponent = "-" if value >> 79 else "", value >> 64 & 0x7fff
    mantissa = value & (1 << 64) - 1
    if exponent == 0x7fff:
        return sign + ("infinity" if not mantissa << 1 & (1 << 64) - 1 else "NaN")
    if not mantissa:
        return sign + "0"
    try:
        return sign + number(math.ldexp(mantissa, max(exponent, 1) - EXPONENT_BIAS - FRACTION_BITS))
    except OverflowError:
        return f"{sign}about 2^{exponent - EXPONENT_BIAS}"


def number(value):
    return f"{value:.7g}"


def lanes(value, size, width, code):
    """A vector's elements, the lowest first."""
    data = value.to_bytes(size, "little")
    found = struct.unpack(f"<{size // width}{code}", data)
    return " ".join(number(one) if code in "fd" else str(one) for one in found)


def grouped(value, size):
    """Hexadecimal, in groups of 64 bits."""
    digits = f"{value:0{size * 2}x}"
    first = len(digits) % 16
    return "0x" + "_".join(filter(None, [digits[:first], *(digits[i:i + 16] for i in range(first, len(digits), 16))]))


def vector(value, size):
    """A vector as integers and as floating-point numbers, the lowest element first."""
    return [" | ".join(f"{name} {lanes(value, size, width, code)}" for width, code, name in views) for views in VIEWS]


def lines(register):
    """A register as one or more lines, without its name."""
    value, kind = register.value, register.kind
    if not value and kind in ("vector", "x87"):
        return ["0"]
    text = grouped(value, register.size)
    if kind == "vector":
        return [text, *vector(value, register.size)]
    if kind == "x87":
        return [f"{text}  = {x87(value)}"]
    words = {"mxcsr": mxcsr, "fcw": fcw, "fsw": fsw, "pkru": pkru}.get(kind)
    return [f"{text}  {words(value)}" if words else text]
