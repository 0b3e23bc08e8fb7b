#define _GNU_SOURCE
#include "runtime/threads.h"

#include <ctype.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

enum {
    OPENMP_NOTE_BYTES = 1024,    /* memory that OpenMP itself may need for a thread */
    MIN_STACK_BYTES = 128 << 10, /* twice what the local variables of a part need */
    MAX_YIELDS = 10000,          /* how often to yield while a joined thread still counts */
};

struct normcy_workers {
    int started;   /* how many workers there are now */
    int holders;   /* how many threads point here: these workers, and the caller that they work for */
    int last_team; /* the size of the caller's last team; OpenMP ends other workers, if not at once */
    int growing;   /* 1 while the caller holds growth_lock */
};

/* A thread's pointers to its own workers, and to those among which it is one itself. */
static pthread_key_t own_key, registered_key;
/* Two callers that start threads at once would both count on the same free ones. */
static pthread_mutex_t growth_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t stack_size; /* of OpenMP's threads, from OMP_STACKSIZE; 0 is the system's default */

static void release(void *workers_) {
    normcy_workers *workers = workers_;
    if (!__atomic_sub_fetch(&workers->holders, 1, __ATOMIC_ACQ_REL))
        free(workers);
}

static void leave(void *workers_) {
    normcy_workers *workers = workers_;
    __atomic_sub_fetch(&workers->started, 1, __ATOMIC_RELAXED);
    release(workers);
}

/* A size as GNU's OpenMP reads it: a number of KiB, or of the unit that its suffix names; 0 if there is none. */
static size_t size_from_environment(const char *name) {
    const char *text = getenv(name), *units = "bkmg";
    char *end;
    size_t size = text ? strtoull(text, &end, 10) : 0;
    if (!size)
        return 0;
    while (isspace((unsigned char)*end))
        end++;
    const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : units + 1;
    if (!unit)
        return 0;
    int shift = 10 * (int)(unit - units);
    return size << shift >> shift == size ? size << shift : 0;
}

int normcy_threads_init(void) {
    stack_size = size_from_environment("OMP_STACKSIZE");
    if (!stack_size)
        stack_size = size_from_environment("GOMP_STACKSIZE");
    return pthread_key_create(&own_key, release) || pthread_key_create(&registered_key, leave);
}

normcy_workers *normcy_own_workers(void) {
    normcy_workers *workers = pthread_getspecific(own_key);
    if (workers || !(workers = calloc(1, sizeof *workers)))
        return workers;
    workers->holders = 1;
    if (!pthread_setspecific(own_key, workers))
        return workers;
    free(workers);
    return NULL;
}

void normcy_register_worker(normcy_workers *workers) {
    normcy_workers *before = pthread_getspecific(registered_key);
    if (!workers || before == workers)
        return;
    if (pthread_getspecific(own_key) == workers) {
        /* This is the caller. OpenMP has started all workers by the time that it gets here. */
        if (workers->growing) {
            workers->growing = 0;
            pthread_mutex_unlock(&growth_lock);
        }
        return;
    }
    if (pthread_setspecific(registered_key, workers))
        return;
    if (before)
        leave(before);
    __atomic_add_fetch(&workers->holders, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&workers->started, 1, __ATOMIC_RELAXED);
}

/* A thread that is started to see whether it can be. */
typedef struct {
    pthread_mutex_t *hold;
    pthread_t thread;
    long id;
    char openmp_note[OPENMP_NOTE_BYTES];
} candidate;

/* Waits until all candidates have been started. */
static void *run_candidate(void *candidate_) {
    candidate *c = candidate_;
#if defined(__linux__)
    c->id = syscall(SYS_gettid);
#endif
    pthread_mutex_lock(c->hold);
    pthread_mutex_unlock(c->hold);
    return NULL;
}

/* The system counts a joined thread for a moment longer, in which it may refuse to start another. */
static void await_end(const candidate *c) {
#if defined(__linux__)
    for (int i = 0; i < MAX_YIELDS && !syscall(SYS_tgkill, getpid(), c->id, 0); i++)
        sched_yield();
#else
    (void)c;
#endif
}

/* Starts up to `count` candidates, all of which exist at the same time, and ends them. Returns how many there were. */
static int start_and_end(candidate *candidates, int count, const pthread_attr_t *attributes) {
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    int n = 0;
    pthread_mutex_lock(&hold);
    for (; n < count; n++) {
        candidates[n].hold = &hold;
        if (pthread_create(&candidates[n].thread, attributes, run_candidate, candidates + n))
            break;
    }
    pthread_mutex_unlock(&hold);
    for (int i = 0; i < n; i++)
        pthread_join(candidates[i].thread, NULL);
    for (int i = 0; i < n; i++)
        await_end(candidates + i);
    return n;
}

/* How many of `more` threads can be started. */
static int startable(int more) {
    candidate *candidates = malloc((size_t)more * sizeof *candidates);
    pthread_attr_t attributes;
    size_t stack = 0;
    int n = 0;
    if (candidates && !pthread_attr_init(&attributes)) {
        if (stack_size) /* a size that the system does not allow is ignored, as OpenMP does */
            pthread_attr_setstacksize(&attributes, stack_size);
        pthread_attr_getstacksize(&attributes, &stack);
        if (stack >= MIN_STACK_BYTES)
            n = start_and_end(candidates, more, &attributes);
        pthread_attr_destroy(&attributes);
    }
    free(candidates);
    return n;
}

int normcy_team_size(normcy_workers *workers, int parts, int max_threads) {
    if (!workers || parts < 2)
        return 1;
    int size = 1 + __atomic_load_n(&workers->started, __ATOMIC_RELAXED);
    if (size > workers->last_team && workers->last_team)
        size = workers->last_team;
    if (size < parts) {
        pthread_mutex_lock(&growth_lock);
        workers->growing = 1;
        size += startable(parts - size);
    }
    if (size > max_threads)
        size = max_threads;
    if (size > 1)
        workers->last_team = size;
    return size;
}
