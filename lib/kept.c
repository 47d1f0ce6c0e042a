#include "kept.h"

#include <stdlib.h>
#include <string.h>

/* Its number, if the request of this job is kept; a predecessor may have died behind it. */
static bool find(const struct cadre_annals *kept, uint64_t job, uint64_t *ret_number)
{
	const struct cadre_annals_span span = cadre_annals_span(kept);
	struct cadre_kept head;

	for (uint64_t number = span.from; number != span.to; number++) {
		if (cadre_annals_read(kept, number, &head, sizeof(head)) &&
		    head.job == job) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

uint64_t cadre_kept_write(const struct cadre_annals *kept, const struct cadre_kept *head,
			  const void *request)
{
	const uint32_t room = kept->body_size - (uint32_t)sizeof(*head);
	struct cadre_kept cut = *head;
	uint64_t number;

	if (find(kept, head->job, &number))
		return number;
	cut.kept_length = head->length < room ? (uint32_t)head->length : room;
	return cadre_annals_write(kept, &cut, sizeof(cut), request, cut.kept_length);
}

bool cadre_kept_read(const struct cadre_annals *kept, uint64_t number,
		     struct cadre_kept *ret_head, void *bytes)
{
	const uint32_t room = kept->body_size - (uint32_t)sizeof(*ret_head);
	unsigned char *record;
	bool whole;

	if (!bytes) {
		if (!cadre_annals_read(kept, number, ret_head, sizeof(*ret_head)))
			return false;
		if (ret_head->kept_length > room)
			ret_head->kept_length = room;
		return true;
	}
	/* One copy of both, or they might belong to two requests. */
	record = malloc(kept->body_size);
	if (!record)
		return false;
	whole = cadre_annals_read(kept, number, record, kept->body_size);
	if (whole) {
		memcpy(ret_head, record, sizeof(*ret_head));
		if (ret_head->kept_length > room)
			ret_head->kept_length = room;
		memcpy(bytes, record + sizeof(*ret_head), ret_head->kept_length);
	}
	free(record);
	return whole;
}
