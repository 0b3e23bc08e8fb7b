#define _GNU_SOURCE
#include "engine/process.h"

#include <pthread.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
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

#if defined(__x86_64__)
unsigned long normcy_fp_enter(void) {
    /* IEEE's default mode is no bit but the masks that turn traps off. Flags that were raised before stay raised. */
    unsigned now = _mm_getcsr(), raised = now & 0x3fu, ieee = 0x1f80u;
    if (now != (ieee | raised))
        _mm_setcsr(ieee | raised);
    return now;
}
void normcy_fp_leave(unsigned long saved) {
    /* Flags that were raised meanwhile are not taken back: a write of the register takes longer than the check. */
    if ((_mm_getcsr() ^ (unsigned)saved) & ~0x3fu)
        _mm_setcsr((unsigned)saved);
}
#elif defined(__aarch64__)
unsigned long normcy_fp_enter(void) {
    /* No bit set means: round to nearest, flush nothing, trap nothing, keep the bits of NaN. */
    unsigned long now, ieee = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    if (now != ieee)
        __asm__ volatile("msr fpcr, %0" : : "r"(ieee));
    return now;
}
void normcy_fp_leave(unsigned long saved) {
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}
#else
unsigned long normcy_fp_enter(void) {
    return 0;
}
void normcy_fp_leave(unsigned long saved) {
    (void)saved;
}
#endif
