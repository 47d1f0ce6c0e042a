/*
 * diag.h - writes the one sentence of a failed call.
 */
#ifndef CADRE_DIAG_H
#define CADRE_DIAG_H

#include <stdint.h>

#include <cadre/error.h>

/* Writes the sentence, unless diag is NULL, and returns `error` unchanged, so that a
 * refusal is one line: return cadre_refuse(diag, -EINVAL, "..."). */
int cadre_refuse(struct cadre_diag *diag, int error, const char *format, ...)
	CADRE_PRINTF(3, 4);

/* What follows a noun: "%u worker%s", count, cadre_plural(count). */
static inline const char *cadre_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

#endif
