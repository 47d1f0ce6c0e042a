/* The ring for one producer and one consumer. */
#define CK_KIND spsc
#include "ck_pair.h"
