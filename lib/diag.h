/*
 * diag.h - writes the one sentence of a failed call.
 */
#ifndef CADRE_DIAG_H
#define CADRE_DIAG_H

#include <cadre/error.h>

/* Writes the sentence, unless diag is NULL, and returns `error` unchanged, so that a
 * refusal is one line: return cadre_refuse(diag, -EINVAL, "..."). */
int cadre_refuse(struct cadre_diag *diag, int error, const char *format, ...)
	CADRE_PRINTF(3, 4);

#endif
