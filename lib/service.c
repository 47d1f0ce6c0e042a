/*
 * service.c - is this table of operations one that can be served?
 */
#include <cadre/service.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diag.h"
#include "layout.h"

/* Appends one finding, as long as there is room for it. */
CADRE_PRINTF(2, 3)
static void add_finding(struct cadre_diag *findings, const char *format, ...)
{
	const size_t used = strlen(findings->text);
	va_list arguments;

	if (used + 2 >= sizeof(findings->text))
		return;
	if (used)
		memcpy(findings->text + used, "; ", sizeof("; "));
	va_start(arguments, format);
	vsnprintf(findings->text + strlen(findings->text),
		  sizeof(findings->text) - strlen(findings->text), format, arguments);
	va_end(arguments);
}

static void check_operation(const struct cadre_service *service, size_t index,
			    struct cadre_diag *findings)
{
	const struct cadre_operation *const operation = &service->operations[index];
	const char *const name = operation->name ? operation->name : "";
	const size_t length = strlen(name);

	if (length == 0 || length > 47 || strpbrk(name, " \t\r\n"))
		add_finding(findings,
			    "the name \"%.60s\" of operation %d is not 1 to 47 bytes "
			    "without blanks",
			    name, (int)operation->id);
	if (operation->id < 1 || operation->id > CADRE_OPERATION_ID_MAX)
		add_finding(findings, "operation \"%.47s\" has the id %d, not 1 to %d",
			    name, (int)operation->id, CADRE_OPERATION_ID_MAX);
	if (!operation->handler)
		add_finding(findings, "operation \"%.47s\" has no handler", name);
	for (size_t other = 0; other < index; other++) {
		const struct cadre_operation *const earlier = &service->operations[other];

		if (earlier->id == operation->id)
			add_finding(findings, "the id %d is used twice",
				    (int)operation->id);
		if (earlier->name && strcmp(earlier->name, name) == 0)
			add_finding(findings, "the name \"%.47s\" is used twice", name);
	}
}

int cadre_service_check(const struct cadre_service *service, struct cadre_diag *diag)
{
	struct cadre_diag findings = { "" };

	if (!service || service->size != sizeof(*service))
		return cadre_refuse(diag, -EINVAL,
				    "the service was built for another version of Cadre: its "
				    "size is %zu, not %zu",
				    service ? service->size : 0, sizeof(*service));
	if (service->operation_count == 0 || !service->operations)
		return cadre_refuse(diag, -EINVAL, "service \"%s\" has no operations",
				    service->name ? service->name : "");
	if (service->operation_count > CADRE_OPERATIONS_MAX)
		return cadre_refuse(diag, -EINVAL,
				    "service \"%s\" has %zu operations: at most %d",
				    service->name ? service->name : "",
				    service->operation_count, CADRE_OPERATIONS_MAX);
	for (size_t i = 0; i < service->operation_count; i++)
		check_operation(service, i, &findings);
	if (findings.text[0])
		return cadre_refuse(diag, -EINVAL, "service \"%s\": %.400s",
				    service->name ? service->name : "", findings.text);
	return 0;
}
