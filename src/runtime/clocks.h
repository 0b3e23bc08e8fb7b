/* Clocks in nanoseconds; only differences of the same clock mean something. */
#ifndef NORMCY_CLOCKS_H
#define NORMCY_CLOCKS_H

#include <stdint.h>
#include <time.h>

static inline int64_t normcy_clock_ns(clockid_t clock) {
    struct timespec t;
    return clock_gettime(clock, &t) ? -1 : (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The time: 25 ns on Linux, which reads it without a system call. */
static inline int64_t normcy_now_ns(void) {
    return normcy_clock_ns(CLOCK_MONOTONIC);
}

/* How long the current thread has had a CPU; the time where the system does not say. A system call: 0.2 to 0.7 us. */
static inline int64_t normcy_cpu_time_ns(void) {
    int64_t had = normcy_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return had < 0 ? normcy_now_ns() : had;
}

#endif
