/* The venue's stopwatch: send one tick, spin until the answer to it arrives. Built by bench.wire. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spin for a while: the silence between two ticks. At its end bytes of a tick's length go through
 * the kernel and back, between two sockets of our own: what a tick's send costs the venue must not
 * depend on what ran on its core while it waited for a slow client. */
void settle(int64_t silence_ns, int64_t settle_ns, int out, int in) {
    static char text[512];
    int64_t until = now_ns() + silence_ns;
    while (now_ns() < until) {
    }
    for (until += settle_ns; now_ns() < until;) {
        if (send(out, text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            while (recv(in, text, sizeof text, MSG_DONTWAIT) <= 0 && now_ns() < until) {
            }
    }
}

/* Send a tick and read what comes back on another socket until it has been quiet for `quiet_ns`.
 * Returns bytes read; -1: an error or an end, -2: nothing within `timeout_ns`.
 * out: when the tick was handed to the kernel, when the first and when the last bytes were in. */
int64_t tick(int to, const char *data, int64_t size, int from, char *buf, int64_t capacity,
             int64_t quiet_ns, int64_t timeout_ns, int64_t out[3]) {
    int64_t got = 0;
    out[0] = now_ns();
    out[1] = out[2] = 0;
    if (send(to, data, (size_t)size, MSG_NOSIGNAL) != size)
        return -1;
    for (;;) {
        ssize_t n = recv(from, buf + got, (size_t)(capacity - got), MSG_DONTWAIT);
        int64_t at = now_ns();
        if (n > 0) {
            got += n;
            if (!out[1])
                out[1] = at;
            out[2] = at;
            if (got == capacity)
                return -1;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return -1;
        } else if (out[1] ? at - out[2] > quiet_ns : at - out[0] > timeout_ns) {
            return out[1] ? got : -2;
        }
    }
}
