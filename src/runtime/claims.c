#include "runtime/claims.h"

#include "runtime/clocks.h"

#include <sched.h>
#include <stdlib.h>

enum {
    LINE_BYTES = 64, /* no two workers shall write to one cache line */
    MAX_SPINS = 4096 /* how often to look before the CPU is offered to others: 40 to 200 us */
};

/* The step, counted from 1, in the upper half; how many of the share's parts are claimed in the lower half. */
typedef struct {
    uint64_t claimed;
    char rest_of_line[LINE_BYTES - sizeof(uint64_t)];
} share;

struct normcy_claims {
    ptrdiff_t done;
    char rest_of_line[LINE_BYTES - sizeof(ptrdiff_t)];
    share shares[];
};

normcy_claims *normcy_claims_init(int max_workers) {
    normcy_claims *claims = malloc(sizeof *claims + (size_t)max_workers * sizeof(share));
    if (!claims)
        return NULL;
    claims->done = 0;
    for (int i = 0; i < max_workers; i++)
        claims->shares[i].claimed = 0;
    return claims;
}

/* Claims the next of `parts` parts of a share. Returns its index, or `parts` if none is left. */
static ptrdiff_t claim_of_share(share *of, uint32_t step, ptrdiff_t parts) {
    uint64_t before = __atomic_load_n(&of->claimed, __ATOMIC_RELAXED), base = ((uint64_t)step + 1) << 32, after;
    do {
        if (before < base) /* the share still has the claims of an earlier step */
            after = base + 1;
        else if (before - base < (uint64_t)parts)
            after = before + 1;
        else /* all are claimed, or the step is over */
            return parts;
    } while (!__atomic_compare_exchange_n(&of->claimed, &before, after, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return (ptrdiff_t)(after - base) - 1;
}

ptrdiff_t normcy_claim(normcy_claims *claims, uint32_t step, ptrdiff_t parts, int workers, int own) {
    ptrdiff_t each = parts / workers, more = parts % workers;
    for (int i = 0; i < workers; i++) {
        int k = (own + i) % workers;
        ptrdiff_t size = each + (k < more), part = size ? claim_of_share(claims->shares + k, step, size) : 0;
        if (part < size)
            return k * each + (k < more ? k : more) + part;
    }
    return -1;
}

void normcy_part_done(normcy_claims *claims) {
    __atomic_fetch_add(&claims->done, 1, __ATOMIC_RELEASE);
}

static void pause_spinning(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int64_t normcy_await_parts(const normcy_claims *claims, ptrdiff_t count) {
    if (__atomic_load_n(&claims->done, __ATOMIC_ACQUIRE) >= count)
        return 0;
    int64_t start = normcy_now_ns();
    for (int spins = 0; __atomic_load_n(&claims->done, __ATOMIC_ACQUIRE) < count; spins++)
        if (spins < MAX_SPINS)
            pause_spinning();
        else
            sched_yield();
    return normcy_now_ns() - start;
}
