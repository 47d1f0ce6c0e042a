/*
 * outcome.h - says on standard error how a job ended when it was not ok.
 *
 *     cadre call: job failed: no such order (code 42, worker 0, pid 4211)
 *     cadre call: job lost: worker 0 (pid 4211) was killed by SIGSEGV while running it
 *
 * In front of the brackets stands the library's or the handler's sentence, in them who it
 * was; the library's sentence about a lost job says all of that itself.
 */
#ifndef CADRE_OUTCOME_H
#define CADRE_OUTCOME_H

#include <cadre/client.h>

/* One line: "COMMAND: JOB OUTCOME: SENTENCE (DETAILS)". */
void cadre_print_outcome(const char *command, const char *job,
			 const struct cadre_result *result);

#endif
