/* src/runtime/crowding.c alone, with times that are made up, in ns: which calls are bad, and how long pauses are. */
#include "runtime/crowding.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t MS = 1000000, FLOATS = 1024; /* a call goes through so many */

static void expect(int right, const char *what) {
    if (!right) {
        printf("%s\n", what);
        exit(1);
    }
}

/* How many calls by one thread a pause is long after one that lost so many of them; it is over then. One takes 1 ms. */
static double pause_after(double lost_ms) {
    double passed = 0;
    normcy_judge_team(2, FLOATS, (int64_t)((lost_ms + 0.5) * (double)MS), MS / 2, 0);
    while (normcy_crowded()) {
        normcy_pass_pause(FLOATS / 4);
        passed += 0.25;
    }
    return passed;
}

static int is_bad(int64_t wall_ns, int64_t cpu_ns, int64_t waited_ns) {
    normcy_judge_calls(1);
    normcy_judge_team(2, FLOATS, wall_ns, cpu_ns, waited_ns);
    return normcy_crowded();
}

static void judge(void) {
    expect(!normcy_crowded(), "crowded before any call");
    expect(!is_bad(MS, MS, 0), "the caller worked all the time");
    expect(!is_bad(2 * MS, MS, 0), "twice the caller's work: an uneven division");
    expect(!is_bad(MS / 20, 1, 0), "a short call: threads may sleep");
    expect(is_bad(3 * MS, MS, 0), "three times the caller's work");
    expect(is_bad(3 * MS, 3 * MS, 2 * MS), "the caller waited, and had a CPU to do so");
    expect(is_bad(3 * MS, MS, 5 * MS), "it waited longer than it had a CPU");
    normcy_judge_calls(1);
    normcy_judge_team(64, FLOATS, 60 * MS, MS, 0);
    expect(!normcy_crowded(), "one thread would have taken longer than these 64, however late some came");
    normcy_judge_team(64, FLOATS, 66 * MS, MS, 0);
    expect(normcy_crowded(), "one thread would have been faster");
    expect(!is_bad(100 * MS, 0, 0), "too short for the clock");
    normcy_judge_calls(0);
    expect(pause_after(100) == 0, "judged though it was not wanted");
    normcy_judge_calls(1);
}

static void good_calls(int count) {
    for (int i = 0; i < count; i++)
        normcy_judge_team(2, FLOATS, MS, MS, 0);
}

static void pauses(void) {
    double most = 0;
    for (double expected = 2; expected <= 64; expected *= 2)
        expect(pause_after(2) == expected, "a pause is what was lost, and doubles with each bad call");
    for (int i = 0; i < 20; i++)
        most = pause_after(2);
    expect(most == 128, "the factor ends at 64");
    expect(pause_after(1e6) == 64 * 64, "a call counts for 64 at most");
    good_calls(8);
    expect(pause_after(2) == 64, "eight good calls outweigh a bad one");
    good_calls(100);
    expect(pause_after(2) == 2, "good calls make the first pause short again");
    normcy_judge_team(2, (int64_t)1 << 40, 100 * MS, MS, 0);
    normcy_pass_pause(1 << 30);
    expect(!normcy_crowded(), "no pause is longer than 2^30 floats");
}

static void at_once(void) {
    normcy_judge_calls(1);
    normcy_judge_team(2, FLOATS, 5 * MS / 2, MS / 2, 0);
    normcy_judge_team(2, FLOATS, 60 * MS, MS, 0);
    normcy_pass_pause(2 * FLOATS);
    expect(!normcy_crowded(), "a call that began before a pause makes it longer");
    expect(pause_after(2) == 4, "a call that began before a pause counts");
}

int main(void) {
    judge();
    normcy_judge_calls(1);
    pauses();
    at_once();
    return 0;
}
