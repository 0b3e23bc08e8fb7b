#include "runtime/crowding.h"

/* What they trade is speed beside other programs for speed on an idle machine (docs/decisions/0008-crowding.md). */
enum {
    SLACK_NS = 50000,            /* threads that sleep come so late; with less, each first call after a rest loses */
    MOST_BALANCE_NS = 100000000, /* of gains that are remembered; with less, what spins for a while counts */
    TRIAL_NS = 25000000,         /* what a team may lose after a pause; with less, trials meet what spins for a while */
    LEVEL_NS = 10000000,         /* of gains that halve pauses */
    MAX_CALLS_LOST = 64,         /* what can be lost at once: a caller may have had a CPU for a moment only */
    MAX_PAUSE_FLOATS = 1 << 30,  /* 0.2 to 0.5 s of work, which one thread does after the others are gone */
    MAX_LEVEL = 6,               /* a pause is at most 2^6 = 64 times what was lost */
};

static int64_t pause_left_floats;
static int64_t balance_ns = MOST_BALANCE_NS; /* what calls may lose before there is a pause */
static int64_t gained_ns;                    /* towards the next LEVEL_NS */
static int level;                            /* how often pauses have doubled */
static int judging = 1;

int normcy_crowded(void) {
    return __atomic_load_n(&pause_left_floats, __ATOMIC_RELAXED) > 0;
}

void normcy_pass_pause(int64_t floats) {
    __atomic_sub_fetch(&pause_left_floats, floats, __ATOMIC_RELAXED);
}

/* The floats that a caller could have gone through in the time that was lost, twice as many at each level. */
static int64_t pause_after(int64_t floats, int64_t lost_ns, int64_t alone_ns) {
    double calls = (double)lost_ns / (double)(alone_ns > 0 ? alone_ns : 1);
    if (calls > MAX_CALLS_LOST)
        calls = MAX_CALLS_LOST;
    double pause = calls * (double)floats * (double)(1 << __atomic_load_n(&level, __ATOMIC_RELAXED));
    return pause < MAX_PAUSE_FLOATS ? (int64_t)pause : MAX_PAUSE_FLOATS;
}

static void begin_pause(int64_t floats) {
    int doubled = __atomic_load_n(&level, __ATOMIC_RELAXED) + 1;
    __atomic_store_n(&pause_left_floats, floats, __ATOMIC_RELAXED);
    __atomic_store_n(&balance_ns, TRIAL_NS, __ATOMIC_RELAXED);
    __atomic_store_n(&level, doubled < MAX_LEVEL ? doubled : MAX_LEVEL, __ATOMIC_RELAXED);
}

static void add_gain(int64_t ns) {
    int64_t gained = __atomic_load_n(&gained_ns, __ATOMIC_RELAXED) + ns;
    int halved = __atomic_load_n(&level, __ATOMIC_RELAXED) - (int)(gained / LEVEL_NS);
    __atomic_store_n(&gained_ns, gained % LEVEL_NS, __ATOMIC_RELAXED);
    __atomic_store_n(&level, halved > 0 ? halved : 0, __ATOMIC_RELAXED);
}

void normcy_judge_team(int threads, int64_t floats, int64_t wall_ns, int64_t own_ns, int64_t waited_ns) {
    int64_t alone_ns = own_ns > waited_ns ? (own_ns - waited_ns) * threads : 0, gain_ns = alone_ns - wall_ns;
    int64_t balance = __atomic_load_n(&balance_ns, __ATOMIC_RELAXED) + gain_ns;
    if (!__atomic_load_n(&judging, __ATOMIC_RELAXED) || own_ns <= 0 || normcy_crowded())
        return;
    if (balance < -SLACK_NS) {
        begin_pause(pause_after(floats, TRIAL_NS - balance, alone_ns));
        return;
    }
    if (gain_ns > 0)
        add_gain(gain_ns);
    __atomic_store_n(&balance_ns, balance < MOST_BALANCE_NS ? balance : MOST_BALANCE_NS, __ATOMIC_RELAXED);
}

void normcy_judge_calls(int wanted) {
    __atomic_store_n(&judging, wanted, __ATOMIC_RELAXED);
    __atomic_store_n(&level, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&gained_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&balance_ns, TRIAL_NS, __ATOMIC_RELAXED);
    __atomic_store_n(&pause_left_floats, 0, __ATOMIC_RELAXED);
}
