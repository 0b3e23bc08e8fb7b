/* src/runtime/crowding.c alone, with times that are made up, in ns: which calls are bad, and how long pauses are. */
#include "runtime/crowding.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t MS = 1000000;

static void expect(int right, const char *what) {
    if (!right) {
        printf("%s\n", what);
        exit(1);
    }
}

/* How long the pause is after a call that lost that much; it is over then. */
static int64_t pause_after(int64_t lost_ns) {
    int64_t passed = 0;
    normcy_judge_team(lost_ns + MS, MS, 0);
    while (normcy_crowded()) {
        normcy_pass_pause(MS / 4);
        passed += MS / 4;
    }
    return passed;
}

static int is_bad(int64_t wall_ns, int64_t cpu_ns, int64_t waited_ns) {
    normcy_judge_calls(1);
    normcy_judge_team(wall_ns, cpu_ns, waited_ns);
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
    expect(!is_bad(100 * MS, 0, 0), "too short for the clock");
    normcy_judge_calls(0);
    expect(!pause_after(100 * MS), "judged though it was not wanted");
    normcy_judge_calls(1);
}

static void pauses(void) {
    int64_t most = 0;
    for (int64_t expected = 2 * MS; expected <= 64 * MS; expected *= 2)
        expect(pause_after(2 * MS) == expected, "a pause is what was lost, and doubles with each bad call");
    for (int i = 0; i < 20; i++)
        most = pause_after(2 * MS);
    expect(most == 128 * MS, "the factor ends at 64");
    expect(pause_after(1000000 * MS) == 200 * MS, "no pause is longer than 200 ms");
    for (int i = 0; i < 8; i++)
        normcy_judge_team(MS, MS, 0);
    expect(pause_after(2 * MS) == 64 * MS, "eight good calls outweigh a bad one");
    for (int i = 0; i < 100; i++)
        normcy_judge_team(MS, MS, 0);
    expect(pause_after(2 * MS) == 2 * MS, "good calls make the first pause short again");
}

static void at_once(void) {
    normcy_judge_calls(1);
    normcy_judge_team(3 * MS, MS, 0);
    normcy_judge_team(100 * MS, MS, 0);
    normcy_pass_pause(2 * MS);
    expect(!normcy_crowded(), "a call that began before a pause makes it longer");
    expect(pause_after(2 * MS) == 4 * MS, "a call that began before a pause counts");
}

int main(void) {
    judge();
    normcy_judge_calls(1);
    pauses();
    at_once();
    return 0;
}
