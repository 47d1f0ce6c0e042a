#include "diag.h"

#include <stdarg.h>
#include <stdio.h>

int cadre_refuse(struct cadre_diag *diag, int error, const char *format, ...)
{
	va_list arguments;

	if (!diag)
		return error;
	va_start(arguments, format);
	vsnprintf(diag->text, sizeof(diag->text), format, arguments);
	va_end(arguments);
	return error;
}

const char *cadre_outcome_name(enum cadre_outcome outcome)
{
	static const char *const names[CADRE_OUTCOME_COUNT] = {
		[CADRE_OK] = "ok",
		[CADRE_FAILED] = "failed",
		[CADRE_CANCELLED] = "cancelled",
		[CADRE_TIMED_OUT] = "timed out",
		[CADRE_LOST] = "lost",
		[CADRE_TERMINATED] = "terminated",
		[CADRE_REFUSED] = "refused",
		[CADRE_WITHDRAWN] = "withdrawn",
	};

	return (unsigned)outcome < CADRE_OUTCOME_COUNT ? names[outcome] : "impossible";
}
