/* Has a thread compute in IEEE's default floating-point mode, whatever mode its caller has put it in. */
#ifndef NORMCY_FLOATING_POINT_H
#define NORMCY_FLOATING_POINT_H

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Puts the current thread in IEEE's default mode: it rounds to nearest, keeps subnormals and traps nothing. Returns
 * the mode that it was in, which normcy_fp_leave restores. */
static inline unsigned long normcy_fp_enter(void) {
#if defined(__x86_64__)
    /* In IEEE's default mode, only the bits that turn traps off are set. Flags that were raised before stay raised. */
    unsigned now = _mm_getcsr(), raised = now & 0x3fu, ieee = 0x1f80u;
    if (now != (ieee | raised))
        _mm_setcsr(ieee | raised);
    return now;
#elif defined(__aarch64__)
    /* With no bit set, the CPU rounds to nearest, flushes and traps nothing, and keeps the bits of NaN. */
    unsigned long now, ieee = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    if (now != ieee)
        __asm__ volatile("msr fpcr, %0" : : "r"(ieee));
    return now;
#else
    return 0;
#endif
}

static inline void normcy_fp_leave(unsigned long saved) {
#if defined(__x86_64__)
    /* Flags that were raised meanwhile stay raised, because writing the register takes longer than this check. */
    if ((_mm_getcsr() ^ (unsigned)saved) & ~0x3fu)
        _mm_setcsr((unsigned)saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
    (void)saved;
#endif
}

#endif
