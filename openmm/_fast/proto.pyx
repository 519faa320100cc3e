"""Protobuf wire format: fields of a message, read where they lie, without message objects.

Source: Protocol Buffers documentation, "Encoding", read 2026-11.
"""

from libc.stdint cimport uint64_t

from openmm._fast.scan cimport SCAN_BAD, SCAN_END, SCAN_OK, SCAN_RANGE, Cursor, Scan

cdef enum:
    VARINT_BYTES = 10


cdef Scan proto_varint_slow(Cursor* c, uint64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint64_t byte
    cdef const char* p = c.p
    cdef int i
    for i in range(VARINT_BYTES):
        if p >= c.end:
            return SCAN_END
        byte = <uint64_t> (<unsigned char> p[0])
        p += 1
        if i == VARINT_BYTES - 1 and byte > 1:
            return SCAN_RANGE
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            out[0] = value
            c.p = p
            return SCAN_OK
    return SCAN_BAD


def read_fields(bytes data not None):
    """Split a message into its fields, in wire order: (number, int of a varint, else bytes).

    Raises:
        ValueError: it is no protobuf message.
    """
    cdef Cursor c
    cdef Field field
    cdef Scan found
    c.p = data
    c.end = c.p + len(data)
    out = []
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            return out
        if found != SCAN_OK:
            raise ValueError(f"not a protobuf message: {data[:32]!r}")
        if field.wire == WIRE_VARINT:
            out.append((field.number, field.value))
        else:
            out.append((field.number, field.data[:field.n_bytes]))
