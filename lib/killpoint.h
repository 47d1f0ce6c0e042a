/*
 * killpoint.h - lets a test choose the line at which its process dies. Only the tests'
 * build of the library has it; see platform.h for the marks themselves.
 */
#ifndef CADRE_KILLPOINT_H
#define CADRE_KILLPOINT_H

/* Sends this process the signal when it passes `label` for the `passes`-th time from now
 * on. 0 passes: never. */
void cadre_kill_at(const char *label, unsigned passes, int signal_number);

#endif
