/* src/runtime/crowding.c alone, with times that are made up, in ns: which calls lose, and how long pauses are. */
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
    normcy_judge_team(2, FLOATS, (int64_t)((lost_ms + 1) * (double)MS), MS / 2, 0);
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
    normcy_judge_team(2, FLOATS, 102 * MS, MS, 0);
    expect(!normcy_crowded(), "a process begins with 100 ms");
    normcy_judge_team(2, FLOATS, 4 * MS, MS, 0);
    expect(normcy_crowded(), "and loses them once");
    expect(!is_bad(100 * MS, 100 * MS, 0), "the caller worked all the time");
    expect(!is_bad(200 * MS, 100 * MS, 0), "as long as one thread: an uneven division");
    expect(!is_bad(25 * MS + MS / 20, 1, 0), "a trial may lose 25 ms, and threads may sleep");
    expect(is_bad(45 * MS, 5 * MS, 0), "longer than one thread");
    expect(is_bad(45 * MS, 45 * MS, 40 * MS), "the caller waited, and had a CPU to do so");
    expect(is_bad(45 * MS, 10 * MS, 50 * MS), "it waited longer than it had a CPU");
    expect(!is_bad(100 * MS, 0, 0), "too short for the clock");
    normcy_judge_calls(1);
    normcy_judge_team(64, FLOATS, 60 * MS, MS, 0);
    expect(!normcy_crowded(), "one thread would have taken longer than these 64, however late some came");
    normcy_judge_team(64, FLOATS, 95 * MS, MS, 0);
    expect(normcy_crowded(), "it lost more than there was");
    normcy_judge_calls(0);
    expect(pause_after(100) == 0, "judged though it was not wanted");
}

static void gain(int64_t ns) {
    normcy_judge_team(2, FLOATS, ns, ns, 0);
}

static void balance(void) {
    normcy_judge_calls(1);
    gain(4 * MS);
    expect(pause_after(28) == 0, "gains outweigh losses");
    expect(pause_after(2) == 26, "until there are none: a pause is what is missing to 25 ms");
    gain(1000 * MS);
    expect(pause_after(102) == 27, "no more than 100 ms are remembered");
}

static void pauses(void) {
    double most = 0;
    normcy_judge_calls(1);
    for (double expected = 27; expected <= 27 * 32; expected *= 2)
        expect(pause_after(27) == expected, "a pause is what was lost, and doubles with each");
    for (int i = 0; i < 20; i++)
        most = pause_after(27);
    expect(most == 27 * 64, "the factor ends at 64");
    expect(pause_after(1e6) == 64 * 64, "a call counts for 64 at most");
    gain(10 * MS);
    expect(pause_after(37) == 27 * 32, "a gain of 10 ms halves it");
    gain(60 * MS);
    expect(pause_after(87) == 27, "gains make pauses short again");
    normcy_judge_calls(1);
    normcy_judge_team(2, (int64_t)1 << 40, 100 * MS, MS, 0);
    normcy_pass_pause(1 << 30);
    expect(!normcy_crowded(), "no pause is longer than 2^30 floats");
}

static void at_once(void) {
    normcy_judge_calls(1);
    normcy_judge_team(2, FLOATS, 28 * MS, MS / 2, 0);
    normcy_judge_team(2, FLOATS, 60 * MS, MS, 0);
    normcy_pass_pause(27 * FLOATS);
    expect(!normcy_crowded(), "a call that began before a pause makes it longer");
    expect(pause_after(27) == 54, "a call that began before a pause counts");
}

int main(void) {
    judge();
    balance();
    pauses();
    at_once();
    return 0;
}
