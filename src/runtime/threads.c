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
    NOTES = 1024,          /* bytes that OpenMP itself may need for a thread */
    STACK_MIN = 128 << 10, /* bytes that a part's own variables fit, twice over */
    PATIENCE = 10000,      /* turns to wait for a thread's end */
};

struct normcy_crew {
    int workers, holders; /* holders: the workers, and the thread that they work for */
    int last;             /* the last team: OpenMP lets go of who is more, if not at once */
    int growing;          /* has the lock below */
};

static pthread_key_t own, served; /* a thread's crew: of the one that they work for, of a worker */
static pthread_mutex_t growth = PTHREAD_MUTEX_INITIALIZER; /* two that grow at once would count on the same threads */
static size_t stack_size;                                  /* what OMP_STACKSIZE asks for; 0: the system's default */

static void drop(void *crew) {
    normcy_crew *c = crew;
    if (!__atomic_sub_fetch(&c->holders, 1, __ATOMIC_ACQ_REL))
        free(c);
}

static void quit(void *crew) {
    normcy_crew *c = crew;
    __atomic_sub_fetch(&c->workers, 1, __ATOMIC_RELAXED);
    drop(c);
}

/* As GNU's OpenMP reads it: a number of KiB, or of what its suffix says. */
static size_t stack_size_asked(const char *name) {
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

int normcy_team_init(void) {
    stack_size = stack_size_asked("OMP_STACKSIZE");
    if (!stack_size)
        stack_size = stack_size_asked("GOMP_STACKSIZE");
    return pthread_key_create(&own, drop) || pthread_key_create(&served, quit);
}

normcy_crew *normcy_own_crew(void) {
    normcy_crew *crew = pthread_getspecific(own);
    if (crew || !(crew = calloc(1, sizeof *crew)))
        return crew;
    crew->holders = 1;
    if (!pthread_setspecific(own, crew))
        return crew;
    free(crew);
    return NULL;
}

void normcy_serve(normcy_crew *crew) {
    normcy_crew *before = pthread_getspecific(served);
    if (!crew || before == crew)
        return;
    if (pthread_getspecific(own) == crew) { /* the caller: now that it is here, its workers are started */
        if (crew->growing) {
            crew->growing = 0;
            pthread_mutex_unlock(&growth);
        }
        return;
    }
    if (pthread_setspecific(served, crew))
        return;
    if (before)
        quit(before);
    __atomic_add_fetch(&crew->holders, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&crew->workers, 1, __ATOMIC_RELAXED);
}

typedef struct {
    pthread_mutex_t *hold;
    pthread_t thread;
    long id;
    char room[NOTES];
} candidate;

static void *stand_by(void *candidate_) {
    candidate *c = candidate_;
#if defined(__linux__)
    c->id = syscall(SYS_gettid);
#endif
    pthread_mutex_lock(c->hold);
    pthread_mutex_unlock(c->hold);
    return NULL;
}

/* The system counts a joined thread for a moment longer; until then there is no room for another. */
static void await_end(const candidate *c) {
#if defined(__linux__)
    for (int turn = 0; turn < PATIENCE && !syscall(SYS_tgkill, getpid(), c->id, 0); turn++)
        sched_yield();
#else
    (void)c;
#endif
}

/* How many of `more` threads can be there at once. */
static int startable(int more) {
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t how;
    candidate *all = malloc((size_t)more * sizeof *all);
    size_t stack = 0;
    int n = 0;
    if (!all || pthread_attr_init(&how)) {
        free(all);
        return 0;
    }
    if (stack_size)
        pthread_attr_setstacksize(&how, stack_size); /* one that the system does not allow is ignored, as in OpenMP */
    pthread_attr_getstacksize(&how, &stack);
    pthread_mutex_lock(&hold);
    for (; n < more && stack >= STACK_MIN; n++) {
        all[n].hold = &hold;
        if (pthread_create(&all[n].thread, &how, stand_by, all + n))
            break;
    }
    pthread_mutex_unlock(&hold);
    for (int i = 0; i < n; i++)
        pthread_join(all[i].thread, NULL);
    for (int i = 0; i < n; i++)
        await_end(all + i);
    pthread_attr_destroy(&how);
    free(all);
    return n;
}

int normcy_team(normcy_crew *crew, int parts, int most) {
    if (!crew || parts < 2)
        return 1;
    int have = 1 + __atomic_load_n(&crew->workers, __ATOMIC_RELAXED);
    if (have > crew->last && crew->last)
        have = crew->last;
    if (have < parts) {
        pthread_mutex_lock(&growth);
        crew->growing = 1;
        have += startable(parts - have);
    }
    if (have > most)
        have = most;
    if (have > 1)
        crew->last = have;
    return have;
}
