#include "forkguard.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define PAGE 4096

int cadre_forkguard_init(struct cadre_forkguard *guard)
{
	unsigned char *const page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	if (madvise(page, PAGE, MADV_WIPEONFORK) < 0) {
		munmap(page, PAGE);
		return -errno;
	}
	*page = 1;
	guard->page = page;
	return 0;
}

void cadre_forkguard_fini(struct cadre_forkguard *guard)
{
	if (guard->page)
		munmap(guard->page, PAGE);
	guard->page = NULL;
}
