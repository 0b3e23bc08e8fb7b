#include "runtime/caches.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if !defined(NORMCY_CACHE_FOLDER) /* tests have a folder of their own */
#define NORMCY_CACHE_FOLDER "/sys/devices/system/cpu/cpu0/cache"
#endif

enum {
    DEFAULT_L1_BYTES = 32 << 10,
    DEFAULT_L2_BYTES = 1 << 20,
    DEFAULT_L3_BYTES = 32 << 20,
    L3_BYTES_FOR_A_CPU = 16 << 20,
    MAX_LEVEL = 3,
    MAX_CACHES = 8,     /* that sysfs lists for a CPU */
    MAX_CPUS = 1 << 16, /* more are nonsense, as are larger caches than 1 TiB */
    MAX_KIB = 1 << 30,
};

typedef struct {
    ptrdiff_t bytes; /* 0: not known */
    int cpus;        /* that share it */
} cache;

#if defined(__linux__)
/* Reads the first line of a file of sysfs on the first CPU's caches. Returns whether there is one. */
static int read_line(int index, const char *name, char *line, int room) {
    char path[512];
    snprintf(path, sizeof path, NORMCY_CACHE_FOLDER "/index%d/%s", index, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    int found = fgets(line, room, file) != NULL;
    fclose(file);
    return found;
}

/* How many CPUs a list such as "0-3,8" names. */
static int count_of_list(const char *list) {
    int count = 0;
    for (char *end; *list >= '0' && *list <= '9'; list = *end == ',' ? end + 1 : end) {
        long first = strtol(list, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (first < 0 || last < first || last >= MAX_CPUS)
            return 1;
        count += (int)(last - first + 1);
    }
    return count < MAX_CPUS ? count : 1;
}

static void read_sysfs(cache *levels) {
    char line[64];
    for (int i = 0; i < MAX_CACHES && read_line(i, "level", line, sizeof line); i++) {
        int level = atoi(line);
        if (level < 1 || level > MAX_LEVEL || !read_line(i, "type", line, sizeof line) || line[0] == 'I')
            continue;
        long kib = read_line(i, "size", line, sizeof line) ? atol(line) : 0; /* with a K after it */
        levels[level].bytes = kib > 0 && kib <= MAX_KIB ? (ptrdiff_t)kib << 10 : 0;
        if (read_line(i, "shared_cpu_list", line, sizeof line))
            levels[level].cpus = count_of_list(line);
    }
}
#else
static void read_sysfs(cache *levels) {
    (void)levels;
}
#endif

static void read_sysconf(cache *levels) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    static const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    for (int level = 1; level <= MAX_LEVEL; level++)
        levels[level] = (cache){sysconf(names[level - 1]), level < MAX_LEVEL ? 1 : (int)sysconf(_SC_NPROCESSORS_ONLN)};
#else
    (void)levels;
#endif
}

static ptrdiff_t sensible(ptrdiff_t bytes, ptrdiff_t default_bytes) {
    return bytes >= default_bytes / 8 && bytes <= 64 * default_bytes ? bytes : default_bytes;
}

normcy_caches normcy_read_caches(void) {
    cache levels[MAX_LEVEL + 1] = {{0}};
    normcy_caches found;
    read_sysfs(levels);
    if (levels[1].bytes <= 0 || levels[2].bytes <= 0)
        read_sysconf(levels);
    found.l1_bytes = sensible(levels[1].bytes, DEFAULT_L1_BYTES);
    found.l2_bytes = sensible(levels[2].bytes, DEFAULT_L2_BYTES);
    if (levels[2].bytes > 0 && levels[3].bytes <= 0)
        levels[3] = levels[2];
    found.l3_bytes = sensible(levels[3].bytes, DEFAULT_L3_BYTES);
    if (levels[2].cpus > 2)
        found.l2_bytes = sensible(found.l2_bytes / (levels[2].cpus / 2), DEFAULT_L2_BYTES);
    if (levels[3].cpus > 0 && found.l3_bytes / levels[3].cpus > L3_BYTES_FOR_A_CPU)
        found.l3_bytes = (ptrdiff_t)L3_BYTES_FOR_A_CPU * levels[3].cpus;
    return found;
}
