/*
 * messengers.h - what a program of this folder offers; it ends with one without a name.
 */
#ifndef MESSENGERS_H
#define MESSENGERS_H

#include "peers/messages.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct messenger messengers[];

/* A name for both sides to meet at, which nobody else has. */
const char *messengers_place(void);

#ifdef __cplusplus
}
#endif

#endif
