#include "runtime/queue.h"

#include <stdlib.h>

normcy_work_queue *normcy_work_queue_init(ptrdiff_t tasks, int threads) {
    normcy_work_queue *queues = malloc((size_t)threads * sizeof *queues);
    ptrdiff_t each = tasks / threads, more = tasks % threads, next = 0;
    for (int t = 0; queues && t < threads; t++) {
        queues[t].next = next;
        queues[t].end = next += each + (t < more);
    }
    return queues;
}

ptrdiff_t normcy_work_queue_pop(normcy_work_queue *queues, int threads, int own) {
    for (int i = 0; i < threads; i++) {
        normcy_work_queue *queue = queues + (own + i) % threads;
        if (__atomic_load_n(&queue->next, __ATOMIC_RELAXED) >= queue->end)
            continue;
        ptrdiff_t task = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED);
        if (task < queue->end)
            return task;
    }
    return -1;
}
