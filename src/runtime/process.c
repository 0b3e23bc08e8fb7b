#define _GNU_SOURCE
#include "runtime/process.h"

#include <pthread.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

static int forked;
static __thread int thread_override;

static void in_child(void) {
    forked = 1;
}

int normcy_process_init(void) {
    return pthread_atfork(0, 0, in_child);
}

int normcy_forked(void) {
    return forked;
}

int normcy_thread_override(void) {
    return thread_override;
}

void normcy_set_thread_override(int n) {
    thread_override = n;
}

int normcy_affinity(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set))
        return CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
