# The hot path: one C call chain from a received frame to the bytes of its orders.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from openmm._fast.book cimport Book, BookState
from openmm._fast.checks cimport Approved, Checks, Reason, RiskInputs
from openmm._fast.inventory cimport Inventory
from openmm._fast.latency cimport StageLatency
from openmm._fast.leans cimport LeanParams
from openmm._fast.orders cimport Order, OrderTable
from openmm._fast.planner cimport ACTIONS_MAX, ActionWhy, Planner
from openmm._fast.ports cimport (
    Decoded, Decoder, Encoder, Neighbours, OutBatch, Sink, Strategy, Trade, Transport,
)
from openmm._fast.queue cimport Queue
from openmm._fast.quotes cimport LEVELS_MAX, Ladder, MarketView
from openmm._fast.reference cimport Reference
from openmm._fast.intensity cimport Intensity
from openmm._fast.signals cimport Signals
from openmm._fast.tape cimport Tape
from openmm._fast.units cimport InstrumentSpec


cpdef enum Decision:            # how the last decision ended
    DECISION_UNDECIDED = 0
    DECISION_SKIPPED = 1        # nothing moved by more than the re-quote threshold
    DECISION_KEPT = 2           # a ladder was made; every live order already fits it
    DECISION_SENT = 3           # order bytes were handed to the transport
    DECISION_WITHDRAWN = 4      # must not quote: cancels sent, or nothing was live
    DECISION_REFUSED = 5        # actions were wanted, checks let none through
    DECISION_FAILED = 6         # encoder or transport did not take them


# One market data connection with its book.
cdef class Feed(Sink):
    cdef Decoder decoder
    cdef readonly Book book
    cdef readonly Signals signals
    cdef readonly Intensity intensity   # None: nobody reads it
    cdef readonly int32_t index         # source of its tape records and in the reference
    cdef readonly bint quoted           # the book we quote on
    cdef bint dirty                     # book changed since the last decision
    cdef int64_t recv_ns                # of the frame being read
    cdef readonly uint64_t frame_count
    cdef readonly uint64_t trade_count
    cdef readonly uint64_t last_trade_id
    cdef readonly int64_t last_trade_ticks
    cdef readonly int64_t last_recv_ns  # any frame: the connection lives
    cdef readonly int64_t lag_ns        # how late its last news was by the venue's own stamp
    cdef readonly int64_t through_ns    # a trade outside our best prices, no news of the book since; 0: none
    cdef BookState known_state          # last state journalled
    cdef Queue places                   # of our orders on this book; None: none rest on it
    cdef OrderTable own                 # those orders
    cdef bint own_shown                 # the venue's book and trades have them
    cdef int64_t hit_ns[2]              # when one of ours was last filled by takers who buy, who sell
    # (private)
    cdef int64_t reach_ticks_c(self, const Trade* trade) noexcept nogil


cdef class Pipeline:
    # --- what the checks read; set from the slow path
    cdef RiskInputs inputs
    cdef public bint quoting            # false: withdraw (paused, halted, stopping)
    cdef public bint allow_bid
    cdef public bint allow_ask
    # --- when to re-quote
    cdef int64_t requote_uticks         # reference moves up to this are ignored
    cdef int64_t last_reference_uticks
    cdef LeanParams leans               # what moves the centre beside the reference, the flow apart
    cdef bint leaning                   # any of them does
    cdef int64_t lean_uticks            # by how much, now and at the last ladder
    cdef int64_t last_lean_uticks
    cdef bint dirty                     # decide at the next batch end
    cdef Feed waiting                   # its book changed in a read that has not ended yet
    cdef bint forced                    # inventory, orders or risk changed: do not skip
    cdef int64_t wake_ns                # look at the quotes then though nothing moved
    cdef int32_t one_sided
    cdef int32_t quoted_before          # one_sided before the ladder that waits to be journalled
    cdef bint ladder_due
    cdef bint own_in_book
    cdef bint lag_counts                # the venue's stamps are real: late news is old news
    cdef Reason standing                # what refused every order alike at the last decision
    cdef uint64_t own_version           # of the order table, when the signals were last told
    # --- what the venue refused as taking, by BookSide: nothing there or better for a while
    cdef int64_t shut_ticks[2]          # 0: nothing was refused
    cdef int64_t shut_since_ns[2]
    cdef int64_t shut_until_ns[2]
    cdef uint64_t shut_news[2]          # `news_count` when it was refused
    cdef int32_t shut_times[2]          # in a row
    cdef uint64_t news_count            # messages that changed the quoted book
    # --- the tables
    cdef readonly Feed feed             # the quoted one
    cdef readonly Reference reference
    cdef readonly Strategy strategy
    cdef readonly Planner planner
    cdef readonly Checks checks
    cdef readonly OrderTable table
    cdef readonly Inventory inventory
    cdef readonly Encoder encoder
    cdef readonly Transport transport
    cdef readonly Tape tape
    cdef readonly StageLatency latency
    cdef readonly Neighbours neighbours  # our other bots on the market; off: nobody is asked
    cdef InstrumentSpec spec
    cdef MarketView view
    cdef Ladder ladder
    cdef Approved approved[ACTIONS_MAX]
    cdef int32_t approved_count
    cdef int32_t state_before[ACTIONS_MAX]      # of orders whose cancel was approved
    cdef int32_t flight_before[ACTIONS_MAX]
    cdef int64_t acted_before_ns[ACTIONS_MAX]
    cdef OutBatch batch
    cdef int32_t refused_reason[2][LEVELS_MAX + 1]   # last refusal journalled, by side and level
    cdef int64_t stamps[16]
    cdef int64_t read_counts            # of the read that brought the frame; 0: not measured
    cdef bint frame_decides             # the decision under way came of a frame
    cdef int64_t answer_stamp           # of the private message being acted on; 0: none
    # --- counters
    cdef readonly uint64_t decision_count
    cdef readonly uint64_t skipped_count
    cdef readonly uint64_t requote_count
    cdef readonly uint64_t sent_count        # order actions handed to the transport
    cdef readonly uint64_t spared_count      # moves not worth their message
    cdef readonly uint64_t met_count         # actions taken back before they left: another bot came first
    cdef readonly uint64_t shut_count        # orders held back where the venue refused one as taking
    cdef readonly uint64_t placed_count
    cdef readonly uint64_t amended_count
    cdef readonly uint64_t cancel_count
    cdef readonly uint64_t message_count     # messages they took
    cdef readonly uint64_t write_count
    cdef readonly uint64_t write_failed_count
    cdef readonly uint64_t lost_record_count  # appends the tape refused
    cdef readonly Decision last_decision

    # Read one frame; decide when it is the last of its read. `stamp` is `stamp_c()` at listener entry.
    cdef Decoded on_frame_c(
        self, Feed feed, const char* data, Py_ssize_t n_bytes, int64_t recv_ns, int64_t stamp, bint last
    ) noexcept
    # The rest of it: what a message did to its feed's book is known.
    cdef void take_news_c(self, Feed feed, Decoded decoded, int64_t recv_ns, int64_t stamp, bint last) noexcept
    # The read ended with a frame that is not for the decoder: decide on what came before it.
    cdef void end_read_c(self, Feed feed, int64_t recv_ns, int64_t stamp) noexcept
    cdef Decision decide_c(self, Feed feed, int64_t now_ns, int64_t stamp) noexcept
    cdef void tell_standing_c(self, int64_t now_ns) noexcept nogil
    cdef int trim_c(self, int64_t now_ns) noexcept nogil
    cdef void tell_held_c(self, int64_t now_ns) noexcept nogil
    cdef bint tell_place_c(self, const Order* order, int64_t wanted_ticks, int64_t now_ns) noexcept nogil
    cdef int64_t half_c(self) noexcept nogil
    cdef void tell_frame_c(self, int64_t stamp) noexcept nogil
    cdef int64_t worth_c(self, const Order* order, bint good, int64_t now_ns) noexcept nogil
    cdef int64_t tell_answer_c(self) noexcept nogil
    # Whether the venue refused this price, or a worse one, as taking, a moment ago.
    cdef bint shut_c(self, int side, int64_t price_ticks, int64_t now_ns) noexcept nogil
    cdef Decision withdraw_c(self, int64_t now_ns, ActionWhy why) noexcept
    cdef Decision send_c(self, int64_t now_ns, int64_t stamp) noexcept
    cdef void tell_book_c(self, Feed feed, int64_t now_ns) noexcept nogil
    cdef void refresh_c(self, Feed feed, int64_t now_ns) noexcept nogil
    cdef int64_t lean_now_c(self, int64_t now_ns) noexcept nogil
    cdef bint settled_c(self, int64_t now_ns) noexcept nogil
    cdef void fill_view_c(self, int64_t now_ns) noexcept nogil
    cdef void bound_view_c(self) noexcept nogil
    cdef void look_at_hanging_c(self) noexcept nogil
    cdef void plan_hanging_c(self, int64_t now_ns) noexcept nogil
    cdef int32_t jump_ppm_c(self, int64_t now_ns) noexcept nogil
    cdef void fill_inputs_c(self, int64_t now_ns) noexcept nogil
    cdef bint look_around_c(self, int64_t now_ns) noexcept nogil
    cdef void show_c(self) noexcept nogil
    cdef int clear_c(self, int64_t now_ns) noexcept nogil
    cdef void take_back_c(self, int index, int64_t now_ns) noexcept nogil
    cdef int approve_c(self, int64_t now_ns) noexcept nogil
    cdef bint append_c(self, int kind, int source, int64_t ts_ns, const void* data, Py_ssize_t n_bytes) noexcept nogil
    cdef void undo_c(self, int64_t now_ns) noexcept nogil
    cdef void tell_own_c(self) noexcept nogil
    # Answer every request of the last batch as a venue that takes all of them at once.
    cdef void accept_all_c(self, int64_t now_ns) noexcept nogil
    cdef void manual_inputs_c(self, int64_t now_ns) noexcept nogil
    cdef void begin_by_hand_c(self, int64_t now_ns) noexcept nogil


# Many frames in two flat buffers, for batch runs.
cdef class Frames:
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t size
    cdef char* data
    cdef Py_ssize_t* offsets            # count + 1
    cdef int64_t* recv_ns
