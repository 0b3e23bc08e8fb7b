/* How large this machine's caches are, as far as a thread can count on them. */
#ifndef NORMCY_CACHES_H
#define NORMCY_CACHES_H

#include <stddef.h>

/* (A) The operating system is asked, in this order: sysfs; sysconf, whose L3 is that of the whole machine in some
 *     versions of glibc; where neither says anything sensible, the defaults are 32 KiB, 1 MiB and 32 MiB.
 * (B) Two CPUs that share an L2 are the two threads of a core, and it counts whole. Of one that more share, each pair
 *     has its part.
 * (C) An L3 counts with at most 16 MiB for each CPU that shares it.
 *     Reason: a virtual machine is told of all of it, and shares it with others.
 * (D) A machine without an L3 has its L2 in the place of it.
 */
typedef struct {
    ptrdiff_t l1_bytes; /* data, of a core */
    ptrdiff_t l2_bytes;
    ptrdiff_t l3_bytes;
} normcy_caches;

normcy_caches normcy_read_caches(void);

#endif
