/* A library that is preloaded. It counts the allocations by normcy's compiled core, and makes the n-th of them fail,
 * once.
 *
 * Allocations by others in the same process are left alone. The return address tells who called.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static long until, count;

/* Makes the n-th allocation from now on fail; 0 makes none fail. Returns how many there were since the last call. */
long fail_allocation(long n) {
    long seen = count;
    until = n;
    count = 0;
    return seen;
}

static int fails(void *caller) {
    Dl_info where;
    if (!dladdr(caller, &where) || !where.dli_fname)
        return 0;
    if (!strstr(where.dli_fname, "normcy/_native/") && !strstr(where.dli_fname, "normcy/_engine/"))
        return 0;
    return ++count == until;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t members, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(members, size);
}

void *realloc(void *p, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
    if (fails(__builtin_return_address(0)))
        return ENOMEM;
    *p = __libc_memalign(alignment, size);
    return *p ? 0 : ENOMEM;
}
