#include "kernels/isa/dispatch.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

/* One instruction set: its kernels, and whether they can run here. */
typedef struct {
    const normcy_kernels *kernels;
    int (*runs)(void);
} isa;

static int always(void) {
    return 1;
}

#if defined(__x86_64__)
extern const normcy_kernels normcy_baseline, normcy_avx2, normcy_avx512;

/* The compiler's check asks CPUID for the features, and XCR0 for the registers that the operating system saves. */
static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") != 0;
}

static const isa isas[] = {{&normcy_baseline, always}, {&normcy_avx2, has_avx2}, {&normcy_avx512, has_avx512}};
#elif defined(__aarch64__) && defined(HWCAP_SVE) && defined(PR_SVE_GET_VL)
extern const normcy_kernels normcy_neon;
extern const normcy_kernels normcy_sve256 __attribute__((weak)); /* NULL where the compiler could not build it */

/* The system says how many bytes the registers have; only an instruction of SVE could ask the CPU itself. Each thread
 * has a length of its own, which it inherits, and which only a call of prctl by that thread changes. */
static int has_sve256(void) {
    return (getauxval(AT_HWCAP) & HWCAP_SVE) && (prctl(PR_SVE_GET_VL) & PR_SVE_VL_LEN_MASK) == 256 / 8;
}

static const isa isas[] = {{&normcy_neon, always}, {&normcy_sve256, has_sve256}};
#elif defined(__aarch64__)
extern const normcy_kernels normcy_neon;
static const isa isas[] = {{&normcy_neon, always}};
#else
extern const normcy_kernels normcy_baseline;
static const isa isas[] = {{&normcy_baseline, always}};
#endif

const normcy_kernels *normcy_isa(int i) {
    return i < (int)(sizeof isas / sizeof *isas) ? isas[i].kernels : 0;
}

int normcy_isa_runs(int i) {
    return normcy_isa(i) && isas[i].runs();
}
