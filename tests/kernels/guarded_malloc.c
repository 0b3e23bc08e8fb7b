/* For programs that no valgrind runs, linked with -Wl,--wrap=malloc,--wrap=free: an allocation ends where a page begins
 * that nobody may touch, and is gone once it is freed.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void *__wrap_malloc(size_t size);
void __wrap_free(void *p);

/* A page with the size of the mapping, those of the allocation, and the forbidden one. */
void *__wrap_malloc(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page, length = whole + 2 * page;
    char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page + whole, page, PROT_NONE))
        return NULL;
    *(size_t *)p = length;
    return p + page + whole - size;
}

void __wrap_free(void *p) {
    if (!p)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *mapping = (char *)((uintptr_t)p / page * page - page);
    munmap(mapping, *(size_t *)mapping);
}
