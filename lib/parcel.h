/*
 * parcel.h - what a pool is started with, by value, for a process that was forked from this
 * program earlier: the fork server's.
 *
 * Both run the same program, so structs and addresses mean the same in both, but only as far
 * as it was there before they parted. So texts and start arguments travel along, and each
 * function has with it the path and a mark of the object that it lies in: who unpacks looks
 * whether he has that object at that address. Of what a function reaches through variables
 * nothing is known here.
 */
#ifndef CADRE_PARCEL_H
#define CADRE_PARCEL_H

#include <cadre/pool.h>

/* What was packed; points into itself and into the bytes that it was made of. */
struct cadre_parcel {
	struct cadre_pool_options options; /* without a log function */
	struct cadre_service service;
	struct cadre_operation operations[CADRE_OPERATIONS_MAX];
	bool has_service;
};

/* Into new memory, which the caller frees. The service was checked, and may be NULL. -EINVAL
 * with a sentence: one of its functions lies in no object of this process; -ENOMEM. */
int cadre_parcel_pack(const struct cadre_service *service,
		      const struct cadre_pool_options *options, void **ret_bytes,
		      size_t *ret_length, struct cadre_diag *diag);

/* -EINVAL with a sentence: one of its functions lies in an object that this process does not
 * have; -EBADMSG: these bytes were not packed by this program. */
int cadre_parcel_unpack(const void *bytes, size_t length, struct cadre_parcel *ret_parcel,
			struct cadre_diag *diag);

#endif
