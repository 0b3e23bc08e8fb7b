/* IEEE's default floating-point mode for what computes, whatever mode the calling thread is in. */
#ifndef NORMCY_FLOATING_POINT_H
#define NORMCY_FLOATING_POINT_H

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* Puts the thread in IEEE's default mode (round to nearest, subnormals kept, no traps); returns what to hand back. */
static inline unsigned long normcy_fp_enter(void) {
#if defined(__x86_64__)
    unsigned now = _mm_getcsr(), raised = now & 0x3fu, ieee = 0x1f80u; /* nothing but masks that keep traps away */
    if (now != (ieee | raised))
        _mm_setcsr(ieee | raised);
    return now;
#elif defined(__aarch64__)
    unsigned long now, ieee = 0; /* no flushing, no traps, NaN kept, to nearest */
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
    if ((_mm_getcsr() ^ (unsigned)saved) & ~0x3fu) /* raised flags say nothing, and writing the register takes time */
        _mm_setcsr((unsigned)saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
    (void)saved;
#endif
}

#endif
