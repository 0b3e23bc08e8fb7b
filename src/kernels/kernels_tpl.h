/* All kernels for one instruction set, and the table that exports them. A stub in isa/ defines ISA, the name of both.
 */
#include "kernels/add_tpl.h"
#include "kernels/apply_tpl.h"
#include "kernels/coefficients_tpl.h"
#include "kernels/moments_cols_tpl.h"
#include "kernels/moments_merge_tpl.h"
#include "kernels/moments_rows_tpl.h"
#include "kernels/rstd_tpl.h"
#include "kernels/weight_range_tpl.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define QUOTE_(a) #a
#define QUOTE(a) QUOTE_(a)

extern const normcy_kernels PASTE(normcy_, ISA);
const normcy_kernels PASTE(normcy_, ISA) = {
    .isa = QUOTE(ISA),
#define KERNEL(result, name, parameters) .name = name,
#include "kernels/list.h"
};
