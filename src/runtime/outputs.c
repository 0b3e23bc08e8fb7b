#define _GNU_SOURCE
#include "runtime/outputs.h"

#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { MAX_KEPT = 8, LINE_BYTES = 64, HUGE_PAGE_BYTES = 2 << 20 };

typedef struct {
    void *p;
    size_t size;
} block;

/* The blocks that are kept, the oldest first. */
static block kept[MAX_KEPT];
static int count;
static size_t kept_bytes, max_bytes;
static char busy; /* is set while a thread works on the table */

void normcy_keep_outputs(size_t bytes) {
    max_bytes = bytes;
}

/* How many bytes are allocated for a request. Sizes are rounded up by an eighth at most, so that results of similar
 * sizes can share a block. */
static size_t block_size(size_t size) {
    size_t step = 4096;
    while (step * 16 < size)
        step *= 2;
    return (size + step - 1) / step * step;
}

static void forget(int i) {
    kept_bytes -= kept[i].size;
    count--;
    for (; i < count; i++)
        kept[i] = kept[i + 1];
}

void *normcy_take(size_t size) {
    void *p = NULL;
    size = block_size(size);
    if (!__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)) {
        for (int i = count - 1; i >= 0 && !p; i--)
            if (kept[i].size == size) {
                p = kept[i].p;
                forget(i);
            }
        __atomic_clear(&busy, __ATOMIC_RELEASE);
    }
    if (p)
        return p;
    if (posix_memalign(&p, size >= 2 * HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : LINE_BYTES, size))
        return NULL;
#if defined(__linux__)
    if (size >= 2 * HUGE_PAGE_BYTES)
        madvise(p, size, MADV_HUGEPAGE); /* may fail, as it is advice only */
#endif
    return p;
}

void *normcy_resize(void *p, size_t size) {
    return realloc(p, block_size(size));
}

void normcy_give_back(void *p, size_t size) {
    block dropped[MAX_KEPT];
    int drops = 0;
    size = block_size(size);
    if (p && size >= NORMCY_LARGE && size <= max_bytes && !__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)) {
        while (count == MAX_KEPT || (count && kept_bytes + size > max_bytes)) {
            dropped[drops++] = kept[0];
            forget(0);
        }
        kept[count++] = (block){p, size};
        kept_bytes += size;
        p = NULL;
        __atomic_clear(&busy, __ATOMIC_RELEASE);
    }
    free(p);
    while (drops)
        free(dropped[--drops].p);
}
