/* Four threads take blocks from src/runtime/outputs.c and give them back, as results of a Python without its global
 * lock do. A block belongs to one thread until it is given back, so that what the thread wrote there must stay. The
 * program prints how often it looked.
 */
#include "runtime/outputs.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, HELD = 3, SIZES = 3 };

static long rounds, seen[THREADS];
static pthread_barrier_t start;

static size_t size_of(long i) {
    return NORMCY_LARGE + (size_t)(i % SIZES) * NORMCY_LARGE / 2;
}

static void mark(char *p, size_t size, long mark) {
    *(volatile long *)p = *(volatile long *)(p + size - sizeof(long)) = mark;
}

static void look(const char *p, size_t size, long mark) {
    if (*(const volatile long *)p != mark || *(const volatile long *)(p + size - sizeof(long)) != mark) {
        puts("a block belongs to two");
        exit(1);
    }
}

static void *work(void *own_) {
    long own = (long)own_;
    char *held[HELD] = {0};
    pthread_barrier_wait(&start);
    for (long i = 0; i < rounds; i++) {
        int k = (int)(i % HELD);
        long before = i - HELD;
        if (held[k]) {
            look(held[k], size_of(before), before * THREADS + own);
            seen[own]++;
            normcy_give_back(held[k], size_of(before));
        }
        held[k] = normcy_take(size_of(i));
        if (!held[k])
            exit(2);
        mark(held[k], size_of(i), i * THREADS + own);
        if (i % 16 == own)
            sched_yield();
    }
    for (long i = rounds - HELD; i < rounds; i++)
        normcy_give_back(held[i % HELD], size_of(i));
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    rounds = argc > 1 ? atol(argv[1]) : 1000;
    normcy_keep_outputs(64 << 20);
    pthread_barrier_init(&start, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(threads + i, NULL, work, (void *)i))
            return 3;
    long looks = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        looks += seen[i];
    }
    void *p = normcy_take(NORMCY_LARGE); /* if blocks were not kept, this program would prove nothing */
    normcy_give_back(p, NORMCY_LARGE);
    if (normcy_take(NORMCY_LARGE) != p)
        return 4;
    printf("%ld\n", looks);
    return 0;
}
