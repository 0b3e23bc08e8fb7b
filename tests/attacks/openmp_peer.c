/* Another library that uses OpenMP, and threads that Python did not make. test_threads.py calls normcy from both. */
#include <omp.h>
#include <pthread.h>

enum { MOST = 64 };

/* Calls `call` from each thread of a parallel region. */
void from_region(int threads, void (*call)(int)) {
#pragma omp parallel num_threads(threads)
    call(omp_get_thread_num());
}

/* Runs a region that does nothing. Returns how many threads it had. */
int region(int threads) {
    int n = 0;
#pragma omp parallel num_threads(threads) reduction(+ : n)
    n += 1;
    return n;
}

typedef struct {
    int i;
    void (*call)(int);
} start;

static void *begin(void *start_) {
    start *s = start_;
    s->call(s->i);
    return 0;
}

/* Calls `call` from plain threads of the system, all at once. */
void from_pthreads(int threads, void (*call)(int)) {
    pthread_t all[MOST];
    start starts[MOST];
    for (int i = 0; i < threads && i < MOST; i++) {
        starts[i] = (start){i, call};
        pthread_create(&all[i], 0, begin, &starts[i]);
    }
    for (int i = 0; i < threads && i < MOST; i++)
        pthread_join(all[i], 0);
}
