"""Layouts of the tape's binary payloads, as the compiler laid them out.

`openmm.journal` holds the file format; a test holds the two together.
"""

from libc.stddef cimport size_t

cdef inline size_t distance(const void* base, const void* field) noexcept:
    return <const char*>field - <const char*>base


def layouts():
    """Return {record: (bytes, {field: offset})} of every binary payload.

    Nested structs are spelled with a dot; of an array, the first element.
    """
    cdef LadderRecord a
    cdef IntentRecord b
    cdef RefusalRecord c
    cdef TransitionRecord d
    cdef StampsRecord e
    cdef BookRecord f
    cdef SampleRecord g
    cdef PlaceRecord h
    cdef NeighboursRecord k
    return {
        "Ladder": (sizeof(LadderRecord), {
            "view.now_ns": distance(&a, &a.view.now_ns),
            "view.reference_uticks": distance(&a, &a.view.reference_uticks),
            "view.confidence_ppm": distance(&a, &a.view.confidence_ppm),
            "view.best_bid_ticks": distance(&a, &a.view.best_bid_ticks),
            "view.best_ask_ticks": distance(&a, &a.view.best_ask_ticks),
            "view.own_bid_ticks": distance(&a, &a.view.own_bid_ticks),
            "view.own_ask_ticks": distance(&a, &a.view.own_ask_ticks),
            "view.sigma_uticks": distance(&a, &a.view.sigma_uticks),
            "view.depth_lots": distance(&a, &a.view.depth_lots),
            "view.depth_mean_lots": distance(&a, &a.view.depth_mean_lots),
            "view.spread_mean_uticks": distance(&a, &a.view.spread_mean_uticks),
            "view.flow_ppm": distance(&a, &a.view.flow_ppm),
            "view.x_ppm": distance(&a, &a.view.x_ppm),
            "view.share_ppm": distance(&a, &a.view.share_ppm),
            "view.target_ppm": distance(&a, &a.view.target_ppm),
            "view.base_lots": distance(&a, &a.view.base_lots),
            "view.quote_lots_max": distance(&a, &a.view.quote_lots_max),
            "view.allow_bid": distance(&a, &a.view.allow_bid),
            "view.allow_ask": distance(&a, &a.view.allow_ask),
            "view.warm": distance(&a, &a.view.warm),
            "view.jump_ppm": distance(&a, &a.view.jump_ppm),
            "view.micro_ppm": distance(&a, &a.view.micro_ppm),
            "view.imbalance_ppm": distance(&a, &a.view.imbalance_ppm),
            "view.ofi_ppm": distance(&a, &a.view.ofi_ppm),
            "view.compression_ppm": distance(&a, &a.view.compression_ppm),
            "view.q_lots": distance(&a, &a.view.q_lots),
            "view.decay_uticks": distance(&a, &a.view.decay_uticks),
            "view.arrival_uhz": distance(&a, &a.view.arrival_uhz),
            "view.hanging_bids": distance(&a, &a.view.hanging_bids),
            "view.hanging_asks": distance(&a, &a.view.hanging_asks),
            "view.own_x_ppm": distance(&a, &a.view.own_x_ppm),
            "view.own_q_lots": distance(&a, &a.view.own_q_lots),
            "ladder.count": distance(&a, &a.ladder.count[0]),
            "ladder.clamps": distance(&a, &a.ladder.clamps),
            "ladder.sides_off": distance(&a, &a.ladder.sides_off),
            "ladder.levels": distance(&a, &a.ladder.levels[0][0]),
            "ladder.centre_uticks": distance(&a, &a.ladder.centre_uticks),
            "ladder.skew_uticks": distance(&a, &a.ladder.skew_uticks),
            "ladder.flow_uticks": distance(&a, &a.ladder.flow_uticks),
            "ladder.half_uticks": distance(&a, &a.ladder.half_uticks),
            "ladder.half_base_uticks": distance(&a, &a.ladder.half_base_uticks),
            "ladder.widen_sigma_uticks": distance(&a, &a.ladder.widen_sigma_uticks),
            "ladder.widen_depth_uticks": distance(&a, &a.ladder.widen_depth_uticks),
            "ladder.widen_inventory_uticks": distance(&a, &a.ladder.widen_inventory_uticks),
            "ladder.micro_uticks": distance(&a, &a.ladder.micro_uticks),
            "ladder.imbalance_uticks": distance(&a, &a.ladder.imbalance_uticks),
            "ladder.ofi_uticks": distance(&a, &a.ladder.ofi_uticks),
            "ladder.widen_compression_uticks": distance(&a, &a.ladder.widen_compression_uticks),
            "ladder.widen_schedule_uticks": distance(&a, &a.ladder.widen_schedule_uticks),
            "ladder.widen_held_uticks": distance(&a, &a.ladder.widen_held_uticks),
            "ladder.anchor_uticks": distance(&a, &a.ladder.anchor_uticks),
            "ladder.anchor_ns": distance(&a, &a.ladder.anchor_ns),
            "ladder.held": distance(&a, &a.ladder.held[0]),
            "ladder.quoted": distance(&a, &a.ladder.quoted[0]),
            "ladder.bound_ticks": distance(&a, &a.ladder.bound_ticks[0]),
            "one_sided_before": distance(&a, &a.one_sided_before),
            "one_sided_after": distance(&a, &a.one_sided_after),
        }),
        "Intent": (sizeof(IntentRecord), {
            "action.kind": distance(&b, &b.action.kind),
            "action.why": distance(&b, &b.action.why),
            "action.seq": distance(&b, &b.action.seq),
            "action.price_ticks": distance(&b, &b.action.price_ticks),
            "action.qty_lots": distance(&b, &b.action.qty_lots),
            "action.side": distance(&b, &b.action.side),
            "action.level": distance(&b, &b.action.level),
            "rate_cost_milli": distance(&b, &b.rate_cost_milli),
        }),
        "Refusal": (sizeof(RefusalRecord), {
            "action.kind": distance(&c, &c.action.kind),
            "action.why": distance(&c, &c.action.why),
            "action.seq": distance(&c, &c.action.seq),
            "action.price_ticks": distance(&c, &c.action.price_ticks),
            "action.qty_lots": distance(&c, &c.action.qty_lots),
            "action.side": distance(&c, &c.action.side),
            "action.level": distance(&c, &c.action.level),
            "reason": distance(&c, &c.reason),
            "reserved": distance(&c, &c.reserved),
            "limit": distance(&c, &c.limit),
            "value": distance(&c, &c.value),
        }),
        "Transition": (sizeof(TransitionRecord), {
            "seq": distance(&d, &d.seq),
            "event": distance(&d, &d.event),
            "from_state": distance(&d, &d.from_state),
            "to_state": distance(&d, &d.to_state),
            "source": distance(&d, &d.source),
            "price_ticks": distance(&d, &d.price_ticks),
            "qty_lots": distance(&d, &d.qty_lots),
        }),
        "Stamps": (sizeof(StampsRecord), {
            "stage_ns": distance(&e, &e.stage_ns[0]),
        }),
        "Book": (sizeof(BookRecord), {
            "state": distance(&f, &f.state),
            "reason": distance(&f, &f.reason),
            "best_bid_ticks": distance(&f, &f.best_bid_ticks),
            "best_ask_ticks": distance(&f, &f.best_ask_ticks),
            "break_count": distance(&f, &f.break_count),
        }),
        "Place": (sizeof(PlaceRecord), {
            "seq": distance(&h, &h.seq),
            "price_ticks": distance(&h, &h.price_ticks),
            "wanted_ticks": distance(&h, &h.wanted_ticks),
            "ahead_lots": distance(&h, &h.ahead_lots),
            "behind_lots": distance(&h, &h.behind_lots),
            "worth_ticks": distance(&h, &h.worth_ticks),
            "since_ns": distance(&h, &h.since_ns),
        }),
        "Neighbours": (sizeof(NeighboursRecord), {
            "look": distance(&k, &k.look),
            "bid_ticks": distance(&k, &k.bid_ticks),
            "ask_ticks": distance(&k, &k.ask_ticks),
            "count": distance(&k, &k.count),
        }),
        "Sample": (sizeof(SampleRecord), {
            "best_bid_ticks": distance(&g, &g.best_bid_ticks),
            "best_ask_ticks": distance(&g, &g.best_ask_ticks),
            "reference_uticks": distance(&g, &g.reference_uticks),
            "base_lots": distance(&g, &g.base_lots),
        }),
    }
