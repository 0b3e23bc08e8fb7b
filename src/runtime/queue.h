/* Work stealing: the tasks of a call in one queue a thread.
 *
 * (A) Each thread first takes the tasks of its own queue, in order.
 *     Reason: they are one piece of memory and the same ones in every call, so that a thread finds in its caches what
 *     it wrote there.
 * (B) A thread whose queue is empty takes tasks from the others' queues.
 * (C) A queue only counts up, by one atomic addition a task; nothing is locked.
 */
#ifndef NORMCY_QUEUE_H
#define NORMCY_QUEUE_H

#include <stddef.h>

typedef struct {
    ptrdiff_t next, end;                           /* the tasks that are left */
    char rest_of_line[64 - 2 * sizeof(ptrdiff_t)]; /* so that no two threads write to one cache line */
} normcy_work_queue;

/* Divides tasks 0 to tasks - 1 among `threads` queues. The caller frees them; NULL if there is no memory. */
normcy_work_queue *normcy_work_queue_init(ptrdiff_t tasks, int threads);

/* The next task for the thread whose queue is `own`, or -1 if none is left in any queue. */
ptrdiff_t normcy_work_queue_pop(normcy_work_queue *queues, int threads, int own);

#endif
