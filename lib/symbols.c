#include "symbols.h"
#include "platform.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What of libdw is used, by its own names and types. */
#define EACH_FUNCTION(of)                                                                \
	of(dwfl_begin) of(dwfl_end) of(dwfl_report_begin) of(dwfl_report_elf) of(        \
		dwfl_report_end) of(dwfl_module_build_id) of(dwfl_module_addrinfo)       \
		of(dwfl_module_getsrc) of(dwfl_lineinfo) of(dwfl_module_addrdie)         \
			of(dwfl_standard_find_debuginfo) of(dwarf_getscopes)             \
				of(dwarf_tag) of(dwarf_diename) of(dwarf_attr_integrate) \
					of(dwarf_formudata) of(dwarf_getsrcfiles)        \
						of(dwarf_filesrc) of(dwarf_diecu)

#define DECLARE(function) __typeof__(function) *function;
static struct {
	EACH_FUNCTION(DECLARE)
} dw;

static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *const library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	is_loaded = true;
#define FIND(function)                                              \
	*(void **)(void *)&dw.function = dlsym(library, #function); \
	is_loaded = is_loaded && dw.function;
	EACH_FUNCTION(FIND)
}

struct segment {
	uint64_t offset, length, address;
};

struct cadre_symbols {
	Dwfl *dwfl;
	Dwfl_Module *module;
	/* Its parts in the file and where they lie in memory. */
	unsigned segment_count;
	struct segment segments[16];
};

static int find_no_elf(Dwfl_Module *module, void **user, const char *name,
		       Dwarf_Addr base, char **file_name, Elf **elf)
{
	(void)module, (void)user, (void)name, (void)base, (void)file_name, (void)elf;
	return -1;
}

/* A path out of a segment may be anything: it is opened for reading, once, without waiting,
 * and must be a regular file. */
static int open_module(const struct cadre_module *module)
{
	static const char deleted[] = " (deleted)";
	char path[CADRE_BACKTRACE_PATH];
	struct stat status;
	size_t length;
	int fd;

	if (module->path[0] != '/')
		return -1;
	memcpy(path, module->path, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	length = strlen(path);
	/* Another file may have the name by now: the build id tells. */
	if (length >= sizeof(deleted) &&
	    strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0) {
		if (module->build_id_length == 0)
			return -1;
		path[length - (sizeof(deleted) - 1)] = '\0';
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool read_segments(struct cadre_symbols *symbols, int fd)
{
	ElfW(Ehdr) header;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_phentsize != sizeof(ElfW(Phdr)))
		return false;
	for (unsigned i = 0; i < header.e_phnum &&
			     symbols->segment_count < CADRE_COUNT_OF(symbols->segments);
	     i++) {
		ElfW(Phdr) part;

		if (pread(fd, &part, sizeof(part),
			  (off_t)(header.e_phoff + i * sizeof(part))) !=
		    (ssize_t)sizeof(part))
			return false;
		if (part.p_type == PT_LOAD)
			symbols->segments[symbols->segment_count++] = (struct segment){
				.offset = part.p_offset,
				.length = part.p_filesz,
				.address = part.p_vaddr,
			};
	}
	return true;
}

/* Still the build that was loaded? Where neither side knows, it is taken for that. */
static bool is_same_build(const struct cadre_symbols *symbols,
			  const struct cadre_module *module)
{
	const unsigned char *bits = NULL;
	GElf_Addr address;
	int length;

	if (module->build_id_length == 0)
		return true;
	length = dw.dwfl_module_build_id(symbols->module, &bits, &address);
	return length == (int)module->build_id_length &&
	       memcmp(bits, module->build_id, module->build_id_length) == 0;
}

struct cadre_symbols *cadre_symbols_open(const struct cadre_module *module)
{
	static char *debug_path; /* libdw's own default */
	static Dwfl_Callbacks callbacks = { .find_elf = find_no_elf,
					    .debuginfo_path = &debug_path };
	struct cadre_symbols *symbols;
	int fd;

	pthread_once(&once, load);
	if (!is_loaded)
		return NULL;
	symbols = calloc(1, sizeof(*symbols));
	fd = symbols ? open_module(module) : -1;
	if (fd < 0) {
		free(symbols);
		return NULL;
	}
	callbacks.find_debuginfo = dw.dwfl_standard_find_debuginfo;
	symbols->dwfl = read_segments(symbols, fd) ? dw.dwfl_begin(&callbacks) : NULL;
	if (symbols->dwfl) {
		dw.dwfl_report_begin(symbols->dwfl);
		symbols->module = dw.dwfl_report_elf(symbols->dwfl, "module",
						     module->path, fd, 0, true);
		dw.dwfl_report_end(symbols->dwfl, NULL, NULL);
	}
	if (!symbols->module) {
		close(fd); /* else it is libdw's */
		cadre_symbols_close(symbols);
		return NULL;
	}
	if (!is_same_build(symbols, module)) {
		cadre_symbols_close(symbols);
		return NULL;
	}
	return symbols;
}

void cadre_symbols_close(struct cadre_symbols *symbols)
{
	if (symbols && symbols->dwfl)
		dw.dwfl_end(symbols->dwfl);
	free(symbols);
}

static bool find_address(const struct cadre_symbols *symbols, uint64_t offset,
			 uint64_t *ret_address)
{
	for (unsigned i = 0; i < symbols->segment_count; i++) {
		const struct segment *const segment = &symbols->segments[i];

		if (offset >= segment->offset &&
		    offset - segment->offset < segment->length) {
			*ret_address = segment->address + (offset - segment->offset);
			return true;
		}
	}
	return false;
}

/* Where the call was written that this inlined function stands for. */
static void find_call(Dwarf_Die *scope, const char **file, int *line)
{
	Dwarf_Attribute attribute;
	Dwarf_Word number;
	Dwarf_Files *files;
	Dwarf_Die unit;

	*file = NULL;
	*line = 0;
	if (dw.dwarf_formudata(dw.dwarf_attr_integrate(scope, DW_AT_call_line, &attribute),
			       &number) == 0 &&
	    number <= INT32_MAX)
		*line = (int)number;
	if (dw.dwarf_formudata(dw.dwarf_attr_integrate(scope, DW_AT_call_file, &attribute),
			       &number) == 0 &&
	    dw.dwarf_diecu(scope, &unit, NULL, NULL) &&
	    dw.dwarf_getsrcfiles(&unit, &files, NULL) == 0)
		*file = dw.dwarf_filesrc(files, number, NULL, NULL);
}

/* From the innermost scope outwards: inlined functions, then the one that they are in. */
static unsigned find_scopes(struct cadre_symbols *symbols, uint64_t address,
			    struct cadre_symbol *found, const char *file, int line)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *const unit = dw.dwfl_module_addrdie(symbols->module, address, &bias);
	Dwarf_Die *scopes = NULL;
	const int count = unit ? dw.dwarf_getscopes(unit, address - bias, &scopes) : 0;
	unsigned n = 0;

	for (int i = 0; i < count && n < CADRE_SYMBOLS_MAX; i++) {
		const int tag = dw.dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		found[n++] = (struct cadre_symbol){
			.function = dw.dwarf_diename(&scopes[i]),
			.file = file,
			.line = line,
			.inlined = tag == DW_TAG_inlined_subroutine,
		};
		if (tag == DW_TAG_subprogram)
			break;
		find_call(&scopes[i], &file, &line);
	}
	free(scopes);
	return n;
}

unsigned cadre_symbols_find(struct cadre_symbols *symbols, uint64_t offset,
			    struct cadre_symbol ret_found[CADRE_SYMBOLS_MAX])
{
	const char *file = NULL, *name;
	GElf_Off distance;
	uint64_t address;
	GElf_Sym symbol;
	int line = 0;
	unsigned n;

	if (!find_address(symbols, offset, &address))
		return 0;
	{
		Dwfl_Line *const at = dw.dwfl_module_getsrc(symbols->module, address);

		if (at)
			file = dw.dwfl_lineinfo(at, NULL, &line, NULL, NULL, NULL);
	}
	n = find_scopes(symbols, address, ret_found, file, line);
	if (n > 0)
		return n;
	name = dw.dwfl_module_addrinfo(symbols->module, address, &distance, &symbol, NULL,
				       NULL, NULL);
	if (!name && !file)
		return 0;
	ret_found[0] = (struct cadre_symbol){
		.function = name,
		.file = file,
		.line = line,
	};
	return 1;
}
