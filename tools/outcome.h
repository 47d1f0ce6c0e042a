/*
 * outcome.h - says on standard error how a job ended when it was not ok.
 *
 *     cadre call: job lost: worker 0 was killed by SIGSEGV (SIGSEGV, worker 0, pid 4211)
 *
 * The part in front of the brackets is the library's or the handler's sentence; the part
 * inside is the same for every outcome and made for grep.
 */
#ifndef CADRE_OUTCOME_H
#define CADRE_OUTCOME_H

#include <cadre/client.h>

/* One line: "COMMAND: JOB OUTCOME: SENTENCE (DETAILS)". */
void cadre_print_outcome(const char *command, const char *job,
			 const struct cadre_result *result);

#endif
