/* Threads run steps of src/runtime/claims.c, again and again. Each part must be done once, by one of them, and after
 * all parts of the step before it. Parts take nanoseconds, so that threads collide often; one thread comes late at
 * random or not at all.
 */
#include "runtime/claims.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, STEPS = 5, PARTS = 4, MAX_SPINS = 1000 };

static const int parts_of[STEPS] = {PARTS, 1, 2, PARTS, 3};
static long rounds;
static normcy_claims *claims;
static int done[STEPS][PARTS + 1]; /* one more, for a part that does not exist */
static int plain[STEPS];           /* written without atomics: what a step wrote is seen by the next one */
static long arrived;

static void fail(const char *what, int step, int part) {
    printf("step %d, part %d: %s\n", step, part, what);
    exit(1);
}

/* Waits for the other threads. */
static void meet(long *meetings) {
    long all = THREADS * ++*meetings;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
    for (int i = 0; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < all; i++)
        if (i > MAX_SPINS) /* another thread may need this core */
            sched_yield();
}

static void run_part(int step, int part, int round) {
    if (part >= parts_of[step])
        fail("there is no such part", step, part);
    for (int k = 0; step > 0 && k < parts_of[step - 1]; k++)
        if (__atomic_load_n(&done[step - 1][k], __ATOMIC_RELAXED) != round + 1)
            fail("a part of the step before is not done", step, part);
    if (step > 0 && parts_of[step - 1] == 1 && plain[step - 1] != round)
        fail("what the step before wrote is not there", step, part);
    if (parts_of[step] == 1)
        plain[step] = round;
    __atomic_fetch_add(&done[step][part], 1, __ATOMIC_RELAXED);
}

static void work_off(int own, int round) {
    ptrdiff_t part, all = 0;
    for (int step = 0; step < STEPS; step++) {
        while ((part = normcy_claim(claims, (uint32_t)step, parts_of[step], THREADS, own)) >= 0) {
            run_part(step, (int)part, round);
            normcy_part_done(claims);
        }
        all += parts_of[step];
        if (step + 1 < STEPS)
            normcy_await_parts(claims, all);
    }
}

static void *work(void *own_) {
    int own = (int)(long)own_;
    long meetings = 0;
    for (long i = 0; i < rounds; i++) {
        if (own == 0)
            claims = normcy_claims_init(THREADS);
        meet(&meetings);
        if (own < 2 || i % 3 > 0)
            work_off(own, (int)i);
        if (own == 1 && i % 5 == 0) /* another worker's loop on this thread, after its own */
            work_off(2, (int)i);
        meet(&meetings);
        for (int step = 0; step < STEPS && own == 0; step++)
            for (int k = 0; k <= PARTS; k++)
                if (done[step][k] != (k < parts_of[step] ? i + 1 : 0))
                    fail("was not done once a round", step, k);
        if (own == 0)
            free(claims);
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
