#include "runtime/crowding.h"

/* What they trade is speed beside other programs for speed on an idle machine (docs/decisions/0008-crowding.md). */
enum {
    BAD_PERCENT = 200,        /* of the caller's work; with less, calls whose parts do not divide evenly are bad */
    SLACK_NS = 50000,         /* threads that sleep come so late; with less, each first call after a rest is bad */
    MAX_PAUSE_NS = 200000000, /* how long calls work with one thread after the others are gone */
    STEP = 8,                 /* good calls that outweigh a bad one; with less, a team is tried where a tenth is bad */
    MAX_LEVEL = 6 * STEP,     /* a pause is at most 2^6 = 64 times what was lost */
};

static int64_t pause_left_ns;
static int level; /* STEP of them double the next pause */
static int judging = 1;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int normcy_crowded(void) {
    return __atomic_load_n(&pause_left_ns, __ATOMIC_RELAXED) > 0;
}

void normcy_pass_pause(int64_t own_ns) {
    __atomic_sub_fetch(&pause_left_ns, own_ns, __ATOMIC_RELAXED);
}

void normcy_judge_team(int64_t wall_ns, int64_t cpu_ns, int64_t waited_ns) {
    int64_t own_ns = cpu_ns > waited_ns ? cpu_ns - waited_ns : 0;
    int before = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (!__atomic_load_n(&judging, __ATOMIC_RELAXED) || cpu_ns <= 0 || normcy_crowded())
        return;
    if (wall_ns <= own_ns * BAD_PERCENT / 100 + SLACK_NS) {
        if (before > 0)
            __atomic_store_n(&level, before - 1, __ATOMIC_RELAXED);
        return;
    }
    int64_t pause_ns = least(wall_ns - own_ns, MAX_PAUSE_NS) << before / STEP;
    __atomic_store_n(&pause_left_ns, least(pause_ns, MAX_PAUSE_NS), __ATOMIC_RELAXED);
    __atomic_store_n(&level, (int)least(before + STEP, MAX_LEVEL), __ATOMIC_RELAXED);
}

void normcy_judge_calls(int wanted) {
    __atomic_store_n(&judging, wanted, __ATOMIC_RELAXED);
    __atomic_store_n(&level, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pause_left_ns, 0, __ATOMIC_RELAXED);
}
