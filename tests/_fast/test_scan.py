"""The scanner against tables, Decimal, json and datetime; with nothing readable behind."""

from __future__ import annotations

import ctypes
import json
import mmap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openmm._fast import scan, units
from openmm._fast.scan import Scan
from tests.oracles import scan as oracle

OK, END, BAD = Scan.SCAN_OK, Scan.SCAN_END, Scan.SCAN_BAD
PRECISION, RANGE, UNDECIDED = Scan.SCAN_PRECISION, Scan.SCAN_RANGE, Scan.SCAN_UNDECIDED
INT64_MAX = oracle.INT64_MAX


# --- decimals


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("66788.0", 1, 667_880),
        ("66788", 1, 667_880),
        ("66788.00000", 1, 667_880),
        ("0.12440000", 8, 12_440_000),
        ("0.00000000", 8, 0),
        ("0", 18, 0),
        ("-0.5", 1, -5),
        ("-0", 0, 0),
        ("1e-7", 8, 10),
        ("1E-7", 7, 1),
        ("1.5e+3", 0, 1500),
        ("12e0", 0, 12),
        ("0.0000001e7", 0, 1),
        ("0e999999999999999999999", 0, 0),
        ("0." + "0" * 400, 8, 0),
        ("1" + "0" * 300 + "e-300", 2, 100),
        ("000000000000000000000000012", 0, 12),
        ("9223372036854775807", 0, INT64_MAX),
        ("-9223372036854775807", 0, -INT64_MAX),
        ("9.223372036854775807", 18, INT64_MAX),
        ("1000000000000000000", 0, 10**18),
        ("1", 18, 10**18),
    ],
)
def test_decimal_is_exact(text: str, decimals: int, value: int) -> None:
    assert scan.scan_decimal(text.encode(), decimals) == (OK, value, len(text))
    assert scan.parse_decimal(text, decimals) == value
    assert scan.parse_decimal(text.encode(), decimals) == value


@pytest.mark.parametrize("tail", [",", "}", "]", " ", '"', "x", ".", "-", "\x00"])
def test_decimal_ends_where_its_digits_end(tail: str) -> None:
    for text in ("12.5", "-12.5", "1.25e1"):
        assert scan.scan_decimal((text + tail).encode(), 1)[::2] == (OK, len(text))


@pytest.mark.parametrize(
    ("text", "decimals", "result"),
    [
        ("", 1, END),
        ("-", 1, END),
        ("12.", 1, END),
        ("1e", 1, END),
        ("1e-", 1, END),
        ("1.5E+", 1, END),
        (".5", 1, BAD),
        ("+5", 1, BAD),
        ("12.x", 1, BAD),
        ("12..5", 1, BAD),
        ("1ex", 1, BAD),
        ("-x", 1, BAD),
        ("--1", 1, BAD),
        ("1e--1", 1, BAD),
        ("NaN", 1, BAD),
        ('"1"', 1, BAD),
        (" 1", 1, BAD),
        ("1.e5", 1, BAD),
        ("0.05", 1, PRECISION),
        ("1e-2", 1, PRECISION),
        ("66788.01", 1, PRECISION),
        ("1e-999999999999", 8, PRECISION),
        ("0.12345678901234567890", 8, PRECISION),
        ("9223372036854775808", 0, RANGE),
        ("-9223372036854775808", 0, RANGE),
        ("10", 18, RANGE),
        ("1e19", 0, RANGE),
        ("1e999999999999", 0, RANGE),
        ("99999999999999999999", 0, RANGE),
        ("18446744073709551617", 0, RANGE),
        ("1", -1, UNDECIDED),
        ("1", 19, UNDECIDED),
        ("1e3", 1 << 20, UNDECIDED),
    ],
)
def test_decimal_that_cannot_be_read_says_why(text: str, decimals: int, result: Scan) -> None:
    assert scan.scan_decimal(text.encode(), decimals) == (result, 0, 0)
    with pytest.raises(ValueError, match="decimal"):
        scan.parse_decimal(text, decimals)


def test_parse_decimal_refuses_what_follows() -> None:
    with pytest.raises(ValueError, match="not a decimal"):
        scan.parse_decimal("1.5 ", 1)


number_text = st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z")
near_number = st.text("0123456789.eE+-,} ", max_size=40)


@settings(max_examples=max(500, settings().max_examples))
@given(st.one_of(number_text, near_number), st.integers(0, 18))
@example("1.5e5e5", 1)
@example("1.2.3", 1)
@example("1e5.5", 1)
def test_fuzz_decimal_equals_oracle(text: str, decimals: int) -> None:
    data = text.encode()
    assert scan.scan_decimal(data, decimals) == oracle.scan_decimal(data, decimals)


@given(st.integers(-INT64_MAX, INT64_MAX), st.integers(0, 18))
def test_parse_undoes_format(points: int, decimals: int) -> None:
    assert scan.parse_decimal(units.format_points(points, decimals), decimals) == points


# --- integers


@pytest.mark.parametrize(
    ("text", "result", "value", "used"),
    [
        ("0,", OK, 0, 1),
        ("4294967295}", OK, 4_294_967_295, 10),
        ("18446744073709551615", OK, (1 << 64) - 1, 20),
        ("18446744073709551616", RANGE, 0, 0),
        ("99999999999999999999999", RANGE, 0, 0),
        ("", END, 0, 0),
        ("-1", BAD, 0, 0),
        ("x", BAD, 0, 0),
        ("12.5", OK, 12, 2),
    ],
)
def test_unsigned_integers(text: str, result: Scan, value: int, used: int) -> None:
    assert scan.scan_uint64(text.encode()) == (result, value, used)


@pytest.mark.parametrize(
    ("text", "result", "value", "used"),
    [
        ("-12,", OK, -12, 3),
        ("9223372036854775807", OK, INT64_MAX, 19),
        ("-9223372036854775807", OK, -INT64_MAX, 20),
        ("-9223372036854775808", RANGE, 0, 0),
        ("9223372036854775808", RANGE, 0, 0),
        ("-", END, 0, 0),
        ("", END, 0, 0),
        ("--1", BAD, 0, 0),
    ],
)
def test_signed_integers(text: str, result: Scan, value: int, used: int) -> None:
    assert scan.scan_int64(text.encode()) == (result, value, used)


# --- space, literals, strings


@pytest.mark.parametrize(
    ("data", "result", "used"),
    [(b" \t\r\n1", OK, 4), (b"1", OK, 0), (b"  ", END, 2), (b"", END, 0), (b"\x0b1", OK, 0)],
)
def test_space_is_that_of_json(data: bytes, result: Scan, used: int) -> None:
    assert scan.scan_space(data) == (result, used)


@pytest.mark.parametrize(
    ("data", "result", "used"),
    [
        (b'"bids":[', OK, 7),
        (b'"bids":', OK, 7),
        (b'"bid', END, 0),
        (b"", END, 0),
        (b'"bix', BAD, 0),
        (b"xbids:[", BAD, 0),
    ],
)
def test_literal_is_passed_whole_or_not_at_all(data: bytes, result: Scan, used: int) -> None:
    assert scan.scan_literal(data, b'"bids":') == (result, used)


@pytest.mark.parametrize(
    ("data", "result", "body"),
    [
        (b'"BTC/USD",', OK, b"BTC/USD"),
        (b'""', OK, b""),
        (rb'"a\"b\\"x"', OK, rb"a\"b\\"),
        (b'"caf\xc3\xa9"', OK, b"caf\xc3\xa9"),
        (b'"open', END, b""),
        (b'"open\\', END, b""),
        (b'"open\\"', END, b""),
        (b"", END, b""),
        (b"x", BAD, b""),
        (b'"a\nb"', BAD, b""),
        (b'"a\\\x01"', BAD, b""),
        (b'"\x00"', BAD, b""),
    ],
)
def test_string_body_keeps_its_escapes(data: bytes, result: Scan, body: bytes) -> None:
    assert scan.scan_string(data) == (result, body, len(body) + 2 if result == OK else 0)


# --- any value

json_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(
    json_value,
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    st.sampled_from(["", ",", " ]", '"']),
)
def test_any_json_value_is_passed_whole(
    value: object, separators: tuple[str, str], tail: str
) -> None:
    text = json.dumps(value, separators=separators).encode()
    if text[-1:].isdigit() and tail[:1].isdigit():
        tail = ""
    assert scan.scan_skip_value(b" " + text + tail.encode()) == (OK, len(text) + 1)


@given(json_value)
def test_json_value_cut_short_is_never_passed_as_longer(value: object) -> None:
    text = json.dumps([value]).encode()
    for n in range(len(text)):
        assert scan.scan_skip_value(text[:n]) == (END, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"}",
        b"]",
        b",",
        b"[1 2]",
        b"[1,]",
        b"{,}",
        b'{"a" 1}',
        b'{"a":1,}',
        b"{1:2}",
        b"[1}",
        b'{"a":1]',
        b"tru",
        b"trux",
        b"nul!",
        b"[01x]",
        b"-x",
        b"1.x",
        b"'a'",
        b"\x00",
        b'{"a":}',
    ],
)
def test_what_is_no_json_value_is_refused(data: bytes) -> None:
    result, used = scan.scan_skip_value(data)
    assert result in (BAD, END)
    assert result == BAD or data == b"tru"
    assert used == 0


def test_nesting_is_bounded() -> None:
    assert scan.scan_skip_value(b"[" * 64 + b"]" * 64) == (OK, 128)
    assert scan.scan_skip_value(b"[" * 65 + b"]" * 65) == (BAD, 0)
    assert scan.scan_skip_value(b'{"a":' * 63 + b"[]" + b"}" * 63)[0] == OK
    assert scan.scan_skip_value(b"[" * 1_000_000) == (BAD, 0)


# --- times


@pytest.mark.parametrize(
    ("text", "ts_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-09-25T07:49:37.708706Z", 1_695_628_177_708_706_000),
        ("2023-09-25T07:49:37.708706", 1_695_628_177_708_706_000),
        ("2023-09-25T09:49:37.708706+02:00", 1_695_628_177_708_706_000),
        ("2023-09-25t02:19:37.708706789-05:30", 1_695_628_177_708_706_789),
        ("2000-02-29 23:59:59.9z", 951_868_799_900_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ("1970-01-01T00:00:00+00:01", -60_000_000_000),
        ("2261-12-31T23:59:59.999999999Z", 9_214_646_399_999_999_999),
    ],
)
def test_time_to_nanoseconds(text: str, ts_ns: int) -> None:
    assert scan.scan_rfc3339(f'"{text}",'.encode()) == (OK, ts_ns, len(text) + 2)
    assert scan.parse_rfc3339(text) == ts_ns


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("2023-02-29T00:00:00Z", BAD),
        ("2100-02-29T00:00:00Z", BAD),
        ("2023-13-01T00:00:00Z", BAD),
        ("2023-00-01T00:00:00Z", BAD),
        ("2023-04-31T00:00:00Z", BAD),
        ("2023-04-00T00:00:00Z", BAD),
        ("2023-04-01T24:00:00Z", BAD),
        ("2023-04-01T00:60:00Z", BAD),
        ("2023-04-01T00:00:61Z", BAD),
        ("2023-04-01T00:00:00.Z", BAD),
        ("2023-04-01T00:00:00+24:00", BAD),
        ("2023-04-01T00:00:00+0100", BAD),
        ("2023-4-01T00:00:00Z", BAD),
        ("2023-04-01_00:00:00Z", BAD),
        ("2023-04-01T00:00:00ZZ", BAD),
        ("", BAD),
        ("2023-04-01T00:00:00.1234567890Z", PRECISION),
        ("1969-12-31T23:59:59Z", RANGE),
        ("2262-01-01T00:00:00Z", RANGE),
    ],
)
def test_time_that_cannot_be_read_says_why(text: str, result: Scan) -> None:
    assert scan.scan_rfc3339(f'"{text}"'.encode()) == (result, 0, 0)
    with pytest.raises(ValueError, match="3339"):
        scan.parse_rfc3339(text)


def test_time_cut_short_anywhere_is_an_end() -> None:
    text = b'"2023-09-25T07:49:37.708706+02:00"'
    for n in range(len(text)):
        assert scan.scan_rfc3339(text[:n]) == (END, 0, 0)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2261, 12, 30)),  # noqa: DTZ001 - zones are written below
    st.integers(0, 9),
    st.one_of(st.just("Z"), st.just(""), st.integers(-1439, 1439)),
)
def test_time_equals_datetime(moment: datetime, digits: int, zone: str | int) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if digits:
        text += f".{moment.microsecond * 1000:09d}"[: digits + 1]
    if isinstance(zone, int):
        minutes = abs(zone)
        text += f"{'-' if zone < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    else:
        text += zone
    assert scan.parse_rfc3339(text) == oracle.rfc3339_ns(text)


def test_every_day_counts_on_from_the_one_before() -> None:
    day = datetime(1970, 1, 1, tzinfo=UTC)
    for n in range(106_650):
        assert (
            scan.parse_rfc3339((day + timedelta(days=n)).strftime("%Y-%m-%dT00:00:00Z"))
            == n * 86_400 * 10**9
        )


# --- fuzz: arbitrary bytes, with an unreadable page right behind them


@pytest.fixture(scope="module")
def fence() -> Iterator[Callable[[bytes], memoryview]]:
    """Place bytes so that the next one cannot be read: an over-read kills the run."""
    page = mmap.PAGESIZE
    area = mmap.mmap(-1, 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert libc.mprotect(address + page, page, 0) == 0, ctypes.get_errno()

    def place(data: bytes) -> memoryview:
        area[page - len(data) : page] = data
        return memoryview(area)[page - len(data) : page]

    yield place
    assert libc.mprotect(address + page, page, 3) == 0, ctypes.get_errno()


SCANNERS: tuple[Callable[[memoryview | bytes], tuple[object, ...]], ...] = (
    *(lambda data, d=d: scan.scan_decimal(data, d) for d in (0, 1, 8, 18)),
    scan.scan_uint64,
    scan.scan_int64,
    scan.scan_space,
    lambda data: scan.scan_literal(data, b'"price":'),
    scan.scan_string,
    scan.scan_skip_value,
    scan.scan_rfc3339,
)
tokens = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b":",
                b",",
                b" ",
                b"true",
                b"null",
                b"\\",
                b"12",
                b"0.5",
                b"1e-7",
                b"-",
                b'"price":',
                b'"2023-09-25T07:49:37.708706Z"',
                b"9" * 30,
                b"\xff",
            ]
        ),
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=max(1000, settings().max_examples))
@given(tokens)
def test_fuzz_arbitrary_bytes_give_a_result_and_no_read_behind_them(
    fence: Callable[[bytes], memoryview], data: bytes
) -> None:
    for scanner in SCANNERS:
        outcome = scanner(fence(data))
        result, used = outcome[0], outcome[-1]
        assert isinstance(result, Scan)
        assert result is not UNDECIDED
        assert isinstance(used, int)
        assert 0 <= used <= len(data)
        # What follows the input in memory plays no part in the result.
        assert outcome == scanner(data)
        if result is not OK and scanner is not scan.scan_space:
            assert used == 0


@given(tokens, st.binary(min_size=1, max_size=4))
def test_fuzz_skipped_value_is_the_same_with_more_behind_it(data: bytes, more: bytes) -> None:
    result, used = scan.scan_skip_value(data)
    if result is OK and used < len(data):
        assert scan.scan_skip_value(data + more) == (OK, used)


def test_none_is_refused() -> None:
    with pytest.raises(TypeError):
        scan.scan_uint64(None)  # type: ignore[arg-type]
