#include "kernels/isa/dispatch.h"

#if defined(__x86_64__)
extern const normcy_kernels normcy_baseline, normcy_avx2, normcy_avx512;
static const normcy_kernels *const isas[] = {&normcy_baseline, &normcy_avx2, &normcy_avx512};
#elif defined(__aarch64__)
extern const normcy_kernels normcy_neon;
static const normcy_kernels *const isas[] = {&normcy_neon};
#else
extern const normcy_kernels normcy_baseline;
static const normcy_kernels *const isas[] = {&normcy_baseline};
#endif

const normcy_kernels *normcy_isa(int i) {
    return i < (int)(sizeof isas / sizeof *isas) ? isas[i] : 0;
}

int normcy_isa_runs(int i) {
#if defined(__x86_64__)
    /* The compiler's own check: CPUID for the features, XCR0 for the registers that the kernel saves. */
    __builtin_cpu_init();
    if (i == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (i == 2)
        return __builtin_cpu_supports("avx512f") != 0;
#endif
    return normcy_isa(i) != 0;
}
