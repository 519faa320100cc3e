/* The same job by hand: a C client of one venue. Built by bench.wire with -O3 -lz and, for TLS, -lssl.
 *
 *   raw PUBLIC_PORT PRIVATE_PORT spin|epoll LEVELS QUICKACK [tls]
 *
 * Decodes Kraken v2 book frames, keeps 25 levels a side, compares the checksum, takes mid and
 * microprice, makes a grid of LEVELS a side with skew, amends every order that moved more than a
 * tick and passes the checks, writes the requests and sends them masked in one write. It knows what
 * it will be fed: keys in one order, one instrument, whole frames; an engine may assume none of it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

enum { DEPTH = 25, ROOM = 128, TOP = 10, LEVELS_MAX = 32, BUF = 1 << 20 };

static void die(const char *what) {
    fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ------------------------------------------------------------------ connections */

struct line {
    int fd;
    char *buf;
    size_t used;
#ifdef WITH_TLS
    SSL *ssl;
#endif
};

static ssize_t line_read(struct line *l) {
#ifdef WITH_TLS
    if (l->ssl) {
        int n = SSL_read(l->ssl, l->buf + l->used, (int)(BUF - l->used));
        if (n > 0)
            return n;
        if (SSL_get_error(l->ssl, n) != SSL_ERROR_WANT_READ)
            return 0;
        errno = EAGAIN;
        return -1;
    }
#endif
    return recv(l->fd, l->buf + l->used, BUF - l->used, MSG_DONTWAIT);
}

static void line_write(struct line *l, const char *data, size_t size) {
#ifdef WITH_TLS
    if (l->ssl) {
        if (SSL_write(l->ssl, data, (int)size) != (int)size)
            die("SSL_write");
        return;
    }
#endif
    if (send(l->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send");
}

static void line_open(struct line *l, int port, int tls, int quickack) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(l, 0, sizeof *l);
    l->buf = calloc(1, BUF + 256);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!l->buf || l->fd < 0 || connect(l->fd, (struct sockaddr *)&at, sizeof at))
        die("connect");
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &quickack, sizeof quickack);
#ifdef WITH_TLS
    if (tls) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        l->ssl = SSL_new(ctx);
        SSL_set_fd(l->ssl, l->fd);
        SSL_set_mode(l->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_connect(l->ssl) != 1)
            die("SSL_connect");
    }
#else
    if (tls)
        die("built without TLS");
#endif
    const char *hello = "GET /v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    line_write(l, hello, strlen(hello));
    char *end;
    for (;;) {
        ssize_t n = line_read(l);
        if (n > 0)
            l->used += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            die("handshake");
        l->buf[l->used] = 0;
        if ((end = strstr(l->buf, "\r\n\r\n")))
            break;
    }
    l->used -= (size_t)(end + 4 - l->buf);
    memmove(l->buf, end + 4, l->used);
    fcntl(l->fd, F_SETFL, O_NONBLOCK);
}

static uint64_t mask_state = 88172645463325252ull;

static uint32_t next_mask(void) {
    mask_state ^= mask_state >> 12;
    mask_state ^= mask_state << 25;
    mask_state ^= mask_state >> 27;
    return (uint32_t)((mask_state * 2685821657736338717ull) >> 32);
}

/* Mask a payload that lies behind room for its header; returns where the next frame begins. */
static char *put_frame(char *at, const char *payload, size_t size, int opcode) {
    uint32_t mask = next_mask();
    uint64_t mask8 = ((uint64_t)mask << 32) | mask, word;
    size_t i = 0;
    *at++ = (char)(0x80 | opcode);
    if (size < 126) {
        *at++ = (char)(0x80 | size);
    } else {
        *at++ = (char)(0x80 | 126);
        *at++ = (char)(size >> 8);
        *at++ = (char)size;
    }
    memcpy(at, &mask, 4);
    at += 4;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, payload + i, 8);
        word ^= mask8;
        memcpy(at + i, &word, 8);
    }
    for (; i < size; i++)
        at[i] = (char)(payload[i] ^ ((char *)&mask)[i & 3]);
    return at + size;
}

static void say(struct line *l, const char *text, int opcode) {
    char frame[2048];
    line_write(l, frame, (size_t)(put_frame(frame, text, strlen(text), opcode) - frame));
}

/* ------------------------------------------------------------------ the book */

struct level {
    int64_t key; /* price for asks, minus price for bids */
    int64_t qty;
    char digits[40];
    int digit_count;
};

static struct level book[2][ROOM];
static int count[2];

static int put_number(char *out, int64_t value) {
    char text[24];
    int n = 0;
    do {
        text[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (int i = 0; i < n; i++)
        out[i] = text[n - 1 - i];
    return n;
}

static void apply(int side, int64_t price, int64_t qty) {
    struct level *l = book[side];
    int64_t key = side ? price : -price;
    int i = 0, n = count[side];
    while (i < n && l[i].key < key)
        i++;
    int found = i < n && l[i].key == key;
    if (!qty) {
        if (found) {
            memmove(l + i, l + i + 1, (size_t)(n - i - 1) * sizeof *l);
            count[side]--;
        }
        return;
    }
    if (!found) {
        if (n == ROOM)
            n = --count[side];
        memmove(l + i + 1, l + i, (size_t)(n - i) * sizeof *l);
        count[side]++;
        l[i].key = key;
    }
    l[i].qty = qty;
    l[i].digit_count = put_number(l[i].digits, price);
    l[i].digit_count += put_number(l[i].digits + l[i].digit_count, qty);
}

static uint32_t book_crc(void) {
    char text[2 * TOP * 40];
    size_t n = 0;
    for (int s = 1; s >= 0; s--)
        for (int i = 0; i < TOP && i < count[s]; i++) {
            memcpy(text + n, book[s][i].digits, 40 < sizeof text - n ? 40 : sizeof text - n);
            n += (size_t)book[s][i].digit_count;
        }
    return (uint32_t)crc32(0, (const Bytef *)text, (uInt)n);
}

static const char *read_points(const char *p, const char *end, int64_t *out) {
    int64_t value = 0;
    for (; p < end; p++) {
        unsigned digit = (unsigned)*p - '0';
        if (digit < 10)
            value = value * 10 + digit;
        else if (*p != '.')
            break;
    }
    *out = value;
    return p;
}

/* Returns 1 if the frame changed the book and its checksum holds, 0 if it is no book frame. */
static int decode(const char *p, size_t size) {
    static const char head[] = "{\"channel\":\"book\",\"type\":\"";
    const char *end = p + size;
    if (size < sizeof head || memcmp(p, head, sizeof head - 1))
        return 0;
    p += sizeof head - 1;
    if (*p == 's')
        count[0] = count[1] = 0;
    if (!(p = memmem(p, (size_t)(end - p), "\"symbol\":\"BTC/USD\"", 18)))
        return 0;
    p += 19;
    for (int side = 0; side < 2; side++) {
        p += 8; /* "bids":[ or "asks":[ */
        while (p < end && *p == '{') {
            int64_t price, qty;
            p = read_points(p + 9, end, &price);
            p = read_points(p + 7, end, &qty);
            apply(side, price, qty);
            p++;
            if (*p == ',')
                p++;
        }
        p += 2; /* ], */
        if (count[side] > DEPTH)
            count[side] = DEPTH;
    }
    int64_t wanted;
    read_points(p + 11, end, &wanted);
    if ((uint32_t)wanted != book_crc()) {
        fprintf(stderr, "raw: checksum differs\n");
        exit(1);
    }
    return 1;
}

/* ------------------------------------------------------------------ quotes and checks */

struct order {
    int64_t price;
    int64_t qty;
    int pending;
    char id[7];
};

static struct order orders[2][LEVELS_MAX];
static int levels;
static int64_t position = 0, base_lots = 100000000, quote_lots = 100000000;
static double budget = 1e18;
static char out_text[1024], out_frames[65536], deadline[32];
static int64_t request = 1;

static void make_deadline(const struct timespec *now) {
    static time_t told;
    if (now->tv_sec != told) {
        struct tm t;
        time_t at = now->tv_sec + 5;
        told = now->tv_sec;
        gmtime_r(&at, &t);
        strftime(deadline, sizeof deadline, "%Y-%m-%dT%H:%M:%S.000Z", &t);
    }
    int ms = (int)(now->tv_nsec / 1000000);
    deadline[20] = (char)('0' + ms / 100);
    deadline[21] = (char)('0' + ms / 10 % 10);
    deadline[22] = (char)('0' + ms % 10);
}

static char *put_points(char *out, int64_t value, int decimals) {
    char digits[24];
    int n = put_number(digits, value);
    while (n <= decimals) {
        memmove(digits + 1, digits, (size_t)n++);
        digits[0] = '0';
    }
    memcpy(out, digits, (size_t)(n - decimals));
    out[n - decimals] = '.';
    memcpy(out + n - decimals + 1, digits + n - decimals, (size_t)decimals);
    return out + n + 1;
}

static char *put_text(char *out, const char *text, size_t size) {
    memcpy(out, text, size);
    return out + size;
}
#define PUT(out, text) put_text(out, text, sizeof text - 1)

static size_t amend_text(const struct order *o) {
    char *p = PUT(out_text, "{\"method\":\"amend_order\",\"params\":{\"cl_ord_id\":\"mraw0000001");
    p = put_text(p, o->id, 7);
    p = PUT(p, "\",\"limit_price\":");
    p = put_points(p, o->price, 1);
    p = PUT(p, ",\"order_qty\":");
    p = put_points(p, o->qty, 8);
    p = PUT(p, ",\"post_only\":true,\"deadline\":\"");
    p = put_text(p, deadline, 24);
    p = PUT(p, "\",\"token\":\"TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT\"                     "
               "},\"req_id\":");
    p += put_number(p, request++);
    *p++ = '}';
    return (size_t)(p - out_text);
}

/* Whether an order may be amended to this price and quantity. */
static int approved(int side, const struct order *o, int64_t price, int64_t qty, double mid,
                    int64_t best_other) {
    double notional = (double)price * (double)qty;
    if (o->pending || qty < 5000 || qty > 10000000)
        return 0;
    if (notional > 1e15 || notional * 2 * levels > 1e18)
        return 0;
    if ((double)price < mid * 0.95 || (double)price > mid * 1.05)
        return 0;
    if (side ? price <= best_other : price >= best_other)
        return 0;
    if (side ? base_lots < qty : quote_lots < qty)
        return 0;
    if (position + (side ? -qty : qty) > 150000000 || position + (side ? -qty : qty) < -150000000)
        return 0;
    for (int i = 0; i < levels; i++) /* no order of ours on the other side that it would meet */
        if (side ? orders[0][i].price >= price : orders[1][i].price <= price)
            return 0;
    return budget > 1;
}

static char *quote(char *out) {
    double bid = (double)-book[0][0].key, ask = (double)book[1][0].key;
    double bid_qty = (double)book[0][0].qty, ask_qty = (double)book[1][0].qty;
    double micro = (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty);
    double mid = (bid + ask) / 2, skew = -(double)position / 150000000 * mid * 100e-6;
    double lean = micro > mid ? micro - mid : mid - micro;
    double centre = mid + skew, half = mid * 120e-6 + lean * 0.01, step = mid * 50e-6;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    make_deadline(&now);
    for (int i = 0; i < levels; i++)
        for (int side = 0; side < 2; side++) {
            struct order *o = &orders[side][i];
            double away = half + step * i;
            int64_t price = side ? (int64_t)(centre + away) + 1 : (int64_t)(centre - away);
            if (side ? price <= (int64_t)bid : price >= (int64_t)ask)
                price = side ? (int64_t)bid + 1 : (int64_t)ask - 1;
            int64_t moved = price - o->price;
            if (moved >= -1 && moved <= 1)
                continue;
            if (!approved(side, o, price, o->qty, mid, (int64_t)(side ? bid : ask)))
                continue;
            o->price = price;
            o->pending = 1;
            budget -= 1;
            out = put_frame(out, out_text, amend_text(o), 1);
        }
    return out;
}

/* ------------------------------------------------------------------ the loop */

static void on_ack(const char *p, size_t size) {
    const char *id = memmem(p, size, "mraw0000001", 11);
    if (!id || !memmem(p, size, "\"success\":true", 14))
        return;
    int n = (id[11 + 5] - '0') * 10 + id[11 + 6] - '0';
    if (n >= 0 && n < 2 * levels)
        orders[n & 1][n >> 1].pending = 0;
}

/* Handle every whole frame; `market`: its connection. Returns whether the book changed. */
static int frames(struct line *l, int market) {
    size_t at = 0;
    int changed = 0;
    while (l->used - at >= 2) {
        unsigned char *h = (unsigned char *)l->buf + at;
        size_t size = h[1] & 127, head = 2;
        if (size == 126) {
            if (l->used - at < 4)
                break;
            size = (size_t)h[2] << 8 | h[3], head = 4;
        } else if (size == 127) {
            if (l->used - at < 10)
                break;
            head = 10;
            for (size = 0; head > 2; head--)
                size = size << 8 | h[12 - head];
            head = 10;
        }
        if (l->used - at < head + size)
            break;
        char *payload = l->buf + at + head;
        if ((h[0] & 15) == 9) {
            char frame[256];
            line_write(l, frame, (size_t)(put_frame(frame, payload, size, 10) - frame));
        } else if ((h[0] & 15) == 8) {
            exit(0);
        } else if (market) {
            changed |= decode(payload, size);
        } else {
            on_ack(payload, size);
        }
        at += head + size;
    }
    l->used -= at;
    if (l->used)
        memmove(l->buf, l->buf + at, l->used);
    return changed;
}

/* Read what there is; returns whether the book changed. */
static int serve(struct line *l, int market) {
    int changed = 0;
    for (;;) {
        ssize_t n = line_read(l);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            exit(0); /* the venue has ended */
        if (n < 0)
            return changed;
        l->used += (size_t)n;
        changed |= frames(l, market);
#ifdef WITH_TLS
        if (l->ssl)
            continue;
#endif
        if ((size_t)n < BUF - l->used)
            return changed;
    }
}

int main(int argc, char **argv) {
    struct line lines[2];
    if (argc < 6)
        return 2;
    int spin = !strcmp(argv[3], "spin"), quickack = atoi(argv[5]), tls = argc > 6;
    levels = atoi(argv[4]);
    for (int i = 0; i < 2 * levels; i++) {
        struct order *o = &orders[i & 1][i >> 1];
        o->price = i & 1 ? 1 << 30 : 1;
        o->qty = 1000000;
        memcpy(o->id, "0000000", 7);
        o->id[5] = (char)('0' + i / 10);
        o->id[6] = (char)('0' + i % 10);
    }
    line_open(&lines[0], atoi(argv[1]), tls, quickack);
    say(&lines[0], "{\"method\":\"subscribe\",\"params\":{\"channel\":\"book\",\"symbol\":[\"BTC/USD\"],"
                   "\"depth\":25},\"req_id\":1}", 1);
    int epoll = epoll_create1(0);
    line_open(&lines[1], atoi(argv[2]), tls, 1);
    say(&lines[1], "{\"method\":\"ready\"}", 1);
    for (int i = 0; i < 2; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, lines[i].fd, &e);
    }
    int quoting = 0;
    for (;;) {
        int changed = 0;
        if (spin) {
            changed = serve(&lines[0], 1);
            if (!changed)
                serve(&lines[1], 0);
        } else {
            struct epoll_event e[2];
            int n = epoll_wait(epoll, e, 2, -1);
            for (int i = 0; i < n; i++)
                changed |= serve(&lines[e[i].data.u32], e[i].data.u32 == 0);
        }
        if (changed && quoting++) { /* the snapshot is not a tick */
            char *end = quote(out_frames);
            if (end > out_frames)
                line_write(&lines[1], out_frames, (size_t)(end - out_frames));
            if (!quickack)
                setsockopt(lines[0].fd, IPPROTO_TCP, TCP_QUICKACK, &quickack, sizeof quickack);
        }
    }
}
