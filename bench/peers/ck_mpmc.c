/* The ring for many producers and many consumers. */
#define CK_KIND mpmc
#include "ck_pair.h"
