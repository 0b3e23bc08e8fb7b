#include "runtime/crowding.h"

/* What they trade is speed beside other programs for speed on an idle machine (docs/decisions/0008-crowding.md). */
enum {
    SLACK_NS = 50000,           /* threads that sleep come so late; with less, each first call after a rest is bad */
    MAX_CALLS_LOST = 64,        /* what one bad call can count for: its caller may have had a CPU for a moment only */
    MAX_PAUSE_FLOATS = 1 << 30, /* 0.2 to 0.5 s of work, which one thread does after the others are gone */
    STEP = 8,                   /* good calls that outweigh a bad one; with less, teams are tried too often */
    MAX_LEVEL = 6 * STEP,       /* a pause is at most 2^6 = 64 times what was lost */
};

static int64_t pause_left_floats;
static int level; /* STEP of them double the next pause */
static int judging = 1;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int normcy_crowded(void) {
    return __atomic_load_n(&pause_left_floats, __ATOMIC_RELAXED) > 0;
}

void normcy_pass_pause(int64_t floats) {
    __atomic_sub_fetch(&pause_left_floats, floats, __ATOMIC_RELAXED);
}

/* The floats that a caller could have gone through in the time that its call lost, twice as many at each STEP. */
static int64_t pause_after(int64_t floats, int64_t lost_ns, int64_t alone_ns, int at_level) {
    double calls = (double)lost_ns / (double)(alone_ns > 0 ? alone_ns : 1);
    if (calls > MAX_CALLS_LOST)
        calls = MAX_CALLS_LOST;
    double pause = calls * (double)floats * (double)(1 << at_level / STEP);
    return pause < MAX_PAUSE_FLOATS ? (int64_t)pause : MAX_PAUSE_FLOATS;
}

void normcy_judge_team(int threads, int64_t floats, int64_t wall_ns, int64_t own_ns, int64_t waited_ns) {
    int64_t work_ns = own_ns > waited_ns ? own_ns - waited_ns : 0, alone_ns = work_ns * threads;
    int before = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (!__atomic_load_n(&judging, __ATOMIC_RELAXED) || own_ns <= 0 || normcy_crowded())
        return;
    if (wall_ns <= alone_ns + SLACK_NS) {
        if (before > 0)
            __atomic_store_n(&level, before - 1, __ATOMIC_RELAXED);
        return;
    }
    __atomic_store_n(&pause_left_floats, pause_after(floats, wall_ns - work_ns, alone_ns, before), __ATOMIC_RELAXED);
    __atomic_store_n(&level, (int)least(before + STEP, MAX_LEVEL), __ATOMIC_RELAXED);
}

void normcy_judge_calls(int wanted) {
    __atomic_store_n(&judging, wanted, __ATOMIC_RELAXED);
    __atomic_store_n(&level, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pause_left_floats, 0, __ATOMIC_RELAXED);
}
