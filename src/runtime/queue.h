/* Tasks dealt to threads: each does its own share in order, which is one piece of memory and the same in every call, so
 * that it finds in its caches what it wrote there; then it takes from what others have left. */
#ifndef NORMCY_QUEUE_H
#define NORMCY_QUEUE_H

#include <stddef.h>

typedef struct {
    ptrdiff_t next, end;
    char rest_of_line[64 - 2 * sizeof(ptrdiff_t)]; /* no two threads write to one cache line */
} normcy_share;

/* Shares of tasks 0 to tasks - 1, one a thread, to be freed; NULL without memory. */
normcy_share *normcy_deal(ptrdiff_t tasks, int threads);

/* The next task for a thread; -1: none is left. */
ptrdiff_t normcy_next_task(normcy_share *shares, int threads, int own);

#endif
