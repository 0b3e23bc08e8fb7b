#include "kernels/isa/dispatch.h"

#if defined(__x86_64__)
extern const normcy_kernels normcy_baseline, normcy_avx2, normcy_avx512;
static const normcy_kernels *const levels[] = {&normcy_baseline, &normcy_avx2, &normcy_avx512};
#elif defined(__aarch64__)
extern const normcy_kernels normcy_neon;
static const normcy_kernels *const levels[] = {&normcy_neon};
#else
extern const normcy_kernels normcy_baseline;
static const normcy_kernels *const levels[] = {&normcy_baseline};
#endif

const normcy_kernels *normcy_level(int i) {
    return i < (int)(sizeof levels / sizeof *levels) ? levels[i] : 0;
}

int normcy_level_runs(int i) {
#if defined(__x86_64__)
    /* The compiler's own check: CPUID for the features, XCR0 for the registers that the kernel saves. */
    __builtin_cpu_init();
    if (i == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (i == 2)
        return __builtin_cpu_supports("avx512f") != 0;
#endif
    return normcy_level(i) != 0;
}
