/* Two threads take tasks from src/runtime/queue.c until none is left, again and again. Each task must be done once, by
 * one of them. They begin within nanoseconds of each other, and tasks take as little time, so that they collide often.
 */
#include "runtime/queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 2, TASKS = 3, MAX_SPINS = 1000 };

static long rounds;
static normcy_work_queue *queues;
static int done[TASKS + 1]; /* one more, for a task that does not exist */
static long arrived;

/* Waits for the other thread. */
static void meet(long *meetings) {
    long all = THREADS * ++*meetings;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
    for (int i = 0; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < all; i++)
        if (i > MAX_SPINS) /* the other thread may need this core */
            sched_yield();
}

static void *work(void *own_) {
    int own = (int)(long)own_;
    long meetings = 0;
    for (long i = 0; i < rounds; i++) {
        ptrdiff_t task;
        if (own == 0)
            queues = normcy_work_queue_init(TASKS, THREADS);
        meet(&meetings);
        while ((task = normcy_work_queue_pop(queues, THREADS, own)) >= 0)
            __atomic_fetch_add(done + task, 1, __ATOMIC_RELAXED);
        meet(&meetings);
        for (int k = 0; k <= TASKS && own == 0; k++)
            if (done[k] != (k < TASKS ? i + 1 : 0)) {
                printf("task %d: done %d times in %ld rounds\n", k, done[k], i + 1);
                exit(1);
            }
        if (own == 0)
            free(queues);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    rounds = argc > 1 ? atol(argv[1]) : 1000;
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(threads + i, NULL, work, (void *)i))
            return 3;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
