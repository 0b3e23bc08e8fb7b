/* Scratch areas that parts take while they run, and give back.
 *
 * (A) There are as many as threads. Reason: so they stay in the caches.
 * (B) A part that finds none waits for one, which others give back at the end of theirs.
 *     Reason: a runner from outside may run more parts at a time than it said.
 * (C) The lowest free area is taken. Reason: a part does not know which thread runs it; that one had it before, mostly.
 */
#ifndef NORMCY_POOL_H
#define NORMCY_POOL_H

#include <sched.h>
#include <stdint.h>

enum { NORMCY_POOL_MAX_AREAS = 1024 };

typedef struct {
    uint64_t free[NORMCY_POOL_MAX_AREAS / 64]; /* a bit for each area */
    int words;
} normcy_pool;

static inline void normcy_pool_init(normcy_pool *pool, int areas) {
    pool->words = (areas + 63) / 64;
    for (int i = 0; i < pool->words; i++)
        pool->free[i] = areas - 64 * i < 64 ? ((uint64_t)1 << (areas - 64 * i)) - 1 : ~(uint64_t)0;
}

/* Takes an area, and waits for one if there is none: others give theirs back at the end of their parts. */
static inline int normcy_pool_take(normcy_pool *pool) {
    for (;; sched_yield())
        for (int i = 0; i < pool->words; i++) {
            uint64_t free = __atomic_load_n(&pool->free[i], __ATOMIC_RELAXED);
            while (free)
                if (__atomic_compare_exchange_n(&pool->free[i], &free, free & (free - 1), 1, __ATOMIC_ACQUIRE,
                                                __ATOMIC_RELAXED))
                    return 64 * i + __builtin_ctzll(free);
        }
}

static inline void normcy_pool_give_back(normcy_pool *pool, int area) {
    __atomic_fetch_or(&pool->free[area / 64], (uint64_t)1 << area % 64, __ATOMIC_RELEASE);
}

#endif
