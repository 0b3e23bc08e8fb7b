/* Everything that has one variant per instruction set, and the one table that exports it: ISA names both. */
#include "kernels/apply_tpl.h"
#include "kernels/moments_cols_tpl.h"
#include "kernels/moments_rows_tpl.h"
#include "kernels/rstd_tpl.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define QUOTE_(a) #a
#define QUOTE(a) QUOTE_(a)

extern const normcy_kernels PASTE(normcy_, ISA);
const normcy_kernels PASTE(normcy_, ISA) = {
    QUOTE(ISA), add, moments_rows, moments_cols, merge, rstd, weight_range, huge, coefficients, apply_rows, apply_cols,
};
