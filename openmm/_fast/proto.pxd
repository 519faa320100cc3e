# Protobuf wire format: fields of a message, read where they lie. Every read is length-checked.
from libc.stdint cimport int32_t, uint64_t
from openmm._fast.scan cimport SCAN_BAD, SCAN_END, SCAN_OK, SCAN_RANGE, Cursor, Scan

cpdef enum WireType:
    WIRE_VARINT = 0
    WIRE_FIXED64 = 1
    WIRE_BYTES = 2
    WIRE_FIXED32 = 5

cdef struct Field:
    int32_t number
    int32_t wire
    uint64_t value              # of a varint
    const char* data            # of bytes and fixed fields
    Py_ssize_t n_bytes

# Read a varint that does not fit the inline path's one byte.
cdef Scan proto_varint_slow(Cursor* c, uint64_t* out) noexcept nogil

cdef inline Scan proto_varint(Cursor* c, uint64_t* out) noexcept nogil:
    if c.p < c.end and <unsigned char> c.p[0] < 0x80:
        out[0] = <uint64_t> (<unsigned char> c.p[0])
        c.p += 1
        return SCAN_OK
    return proto_varint_slow(c, out)

# Read the next field and step behind it. SCAN_END: the message ended where a field does. Anything
# but SCAN_OK and SCAN_END: no protobuf, or cut short; the cursor is of no more use.
cdef inline Scan proto_next(Cursor* c, Field* out) noexcept nogil:
    cdef uint64_t tag = 0
    cdef uint64_t n = 0
    if c.p >= c.end:
        return SCAN_END
    if proto_varint(c, &tag) != SCAN_OK or tag < 8 or tag >> 32 != 0:
        return SCAN_BAD
    out.number = <int32_t> (tag >> 3)
    out.wire = <int32_t> (tag & 7)
    if out.wire == WIRE_BYTES:
        if proto_varint(c, &n) != SCAN_OK or n > <uint64_t> (c.end - c.p):
            return SCAN_BAD
    elif out.wire == WIRE_VARINT:
        out.data = NULL
        out.n_bytes = 0
        return SCAN_OK if proto_varint(c, &out.value) == SCAN_OK else SCAN_BAD
    elif out.wire == WIRE_FIXED64 or out.wire == WIRE_FIXED32:
        n = 8 if out.wire == WIRE_FIXED64 else 4
        if n > <uint64_t> (c.end - c.p):
            return SCAN_BAD
    else:
        # Groups are of another time: no message read here has any.
        return SCAN_BAD
    out.data = c.p
    out.n_bytes = <Py_ssize_t> n
    c.p += n
    return SCAN_OK
