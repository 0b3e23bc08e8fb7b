/* For programs that have to run every kernel of kernels/list.h: they call kernels by RUN, and check_every_kernel ends
 * the program if one of them never ran. A kernel that is new in the list is missed by none of them.
 */
#ifndef EVERY_KERNEL_H
#define EVERY_KERNEL_H

#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"

enum {
#define KERNEL(result, name, parameters) KERNEL_##name,
#include "kernels/list.h"
    KERNELS,
};

static const char *const kernel_names[] = {
#define KERNEL(result, name, parameters) #name,
#include "kernels/list.h"
};

static int has_run[KERNELS];

/* The function of that name in the table k, noted as run. */
#define RUN(k, name) (has_run[KERNEL_##name] = 1, (k)->name)

static inline void check_every_kernel(void) {
    for (int i = 0; i < KERNELS; i++)
        if (!has_run[i]) {
            fprintf(stderr, "kernel %s: this program never runs it\n", kernel_names[i]);
            exit(1);
        }
}

#endif
