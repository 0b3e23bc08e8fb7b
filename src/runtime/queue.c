#include "runtime/queue.h"

#include <stdlib.h>

normcy_share *normcy_deal(ptrdiff_t tasks, int threads) {
    normcy_share *shares = malloc((size_t)threads * sizeof *shares);
    ptrdiff_t each = tasks / threads, more = tasks % threads, next = 0;
    for (int t = 0; shares && t < threads; t++) {
        shares[t].next = next;
        shares[t].end = next += each + (t < more);
    }
    return shares;
}

ptrdiff_t normcy_next_task(normcy_share *shares, int threads, int own) {
    for (int i = 0; i < threads; i++) {
        normcy_share *share = shares + (own + i) % threads;
        if (__atomic_load_n(&share->next, __ATOMIC_RELAXED) >= share->end)
            continue;
        ptrdiff_t task = __atomic_fetch_add(&share->next, 1, __ATOMIC_RELAXED);
        if (task < share->end)
            return task;
    }
    return -1;
}
