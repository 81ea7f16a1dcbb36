/*
 * The ELF reader: goes the way the dynamic loader goes, through the program
 * headers (section headers may be stripped or lie), and believes no number in
 * the file before it is compared with the file's size.
 */
#include "host/elf_peek.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ap/agent.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#error "the ELF machine of this architecture is missing here"
#endif

/* More of each than any plugin has: they bound the work that a hostile file can cause. */
#define HEADERS_MAX 64
#define DYNAMIC_MAX 4096
#define SYMBOLS_MAX (1u << 20)

/* What the plugin's struct had in version 1.0: it only ever grows. */
#define PLUGIN_SIZE_1_0 (offsetof(ap_plugin, deinit) + sizeof(((ap_plugin *)0)->deinit))

struct image {
	const unsigned char *data;
	size_t size;
	Elf64_Ehdr ehdr;
	uint64_t symtab, strtab, strsz, hash, gnu_hash, runpath, rpath; /* 0 and NONE: not there */
	uint64_t dynamic, n_dynamic;
};

#define NONE UINT64_MAX

/* Copies n bytes at an offset, which may be unaligned in the file. */
static bool get(const struct image *image, uint64_t at, void *ret, size_t n)
{
	if (at > image->size || n > image->size - at)
		return false;
	memcpy(ret, image->data + at, n);
	return true;
}

static bool get_phdr(const struct image *image, unsigned i, Elf64_Phdr *ret_phdr)
{
	uint64_t at = (uint64_t)i * sizeof(*ret_phdr);

	if (image->ehdr.e_phoff > image->size)
		return false;
	return get(image, image->ehdr.e_phoff + at, ret_phdr, sizeof(*ret_phdr));
}

/* Where n bytes of an address lie in the file, or NONE. */
static uint64_t offset_of(const struct image *image, uint64_t address, uint64_t n)
{
	for (unsigned i = 0; i < image->ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;
		uint64_t in;

		if (!get_phdr(image, i, &phdr))
			return NONE;
		if (phdr.p_type != PT_LOAD || address < phdr.p_vaddr)
			continue;
		in = address - phdr.p_vaddr;
		if (in > phdr.p_filesz || n > phdr.p_filesz - in)
			continue;
		if (phdr.p_offset > image->size || in > image->size - phdr.p_offset)
			return NONE;
		return phdr.p_offset + in;
	}
	return NONE;
}

static const char *check_header(struct image *image)
{
	if (!get(image, 0, &image->ehdr, sizeof(image->ehdr)) ||
		memcmp(image->ehdr.e_ident, ELFMAG, SELFMAG) != 0)
		return "it is not an ELF file";
	if (image->ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return "it is a 32-bit file";
	if (image->ehdr.e_ident[EI_DATA] != ELFDATA2LSB)
		return "its byte order is not this machine's";
	if (image->ehdr.e_machine != MACHINE)
		return "it is for another kind of machine";
	if (image->ehdr.e_type != ET_DYN)
		return "it is not a shared object";
	if (image->ehdr.e_phentsize != sizeof(Elf64_Phdr) || image->ehdr.e_phnum > HEADERS_MAX)
		return "its program headers are malformed";
	return NULL;
}

/* Notes one entry of the dynamic section. */
static void note_dynamic(struct image *image, const Elf64_Dyn *dyn)
{
	switch (dyn->d_tag) {
	case DT_SYMTAB:
		image->symtab = dyn->d_un.d_ptr;
		break;
	case DT_STRTAB:
		image->strtab = dyn->d_un.d_ptr;
		break;
	case DT_STRSZ:
		image->strsz = dyn->d_un.d_val;
		break;
	case DT_HASH:
		image->hash = dyn->d_un.d_ptr;
		break;
	case DT_GNU_HASH:
		image->gnu_hash = dyn->d_un.d_ptr;
		break;
	case DT_RUNPATH:
		image->runpath = dyn->d_un.d_val;
		break;
	case DT_RPATH:
		image->rpath = dyn->d_un.d_val;
		break;
	default:
		break;
	}
}

static bool get_dynamic(const struct image *image, uint64_t i, Elf64_Dyn *ret_dyn)
{
	return get(image, image->dynamic + i * sizeof(*ret_dyn), ret_dyn, sizeof(*ret_dyn));
}

static const char *read_dynamic(struct image *image)
{
	Elf64_Phdr phdr = {0};
	uint64_t n;

	for (unsigned i = 0; i < image->ehdr.e_phnum && phdr.p_type != PT_DYNAMIC; i++) {
		if (!get_phdr(image, i, &phdr))
			return "its program headers are cut off";
	}
	if (phdr.p_type != PT_DYNAMIC)
		return "it has no dynamic section";
	n = phdr.p_filesz / sizeof(Elf64_Dyn);
	if (n > DYNAMIC_MAX || phdr.p_offset > image->size)
		return "its dynamic section is malformed";
	image->dynamic = phdr.p_offset;
	for (uint64_t i = 0; i < n; i++) {
		Elf64_Dyn dyn;

		if (!get_dynamic(image, i, &dyn))
			return "its dynamic section is cut off";
		if (dyn.d_tag == DT_NULL)
			break;
		note_dynamic(image, &dyn);
		image->n_dynamic++;
	}
	if (image->symtab == NONE || image->strtab == NONE)
		return "it has no dynamic symbols";
	if (image->strsz > image->size)
		return "its string table is malformed";
	image->strtab = offset_of(image, image->strtab, image->strsz);
	if (image->strtab == NONE || image->strsz > image->size - image->strtab)
		return "its string table is cut off";
	return NULL;
}

/* A string of the string table, or NULL if it does not end in it. */
static const char *string_at(const struct image *image, uint64_t at)
{
	const char *s;

	if (at >= image->strsz)
		return NULL;
	s = (const char *)image->data + image->strtab + at;
	return memchr(s, '\0', image->strsz - at) ? s : NULL;
}

/* True if dynamic symbol i is the plugin's, defined here; its place goes to *ret_address. */
static bool is_plugin(const struct image *image, uint64_t i, uint64_t *ret_address)
{
	uint64_t at = offset_of(image, image->symtab + i * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
	const char *name;
	Elf64_Sym sym;

	if (at == NONE || !get(image, at, &sym, sizeof(sym)))
		return false;
	name = string_at(image, sym.st_name);
	if (!name || strcmp(name, AP_PLUGIN_SYMBOL) != 0 || sym.st_shndx == SHN_UNDEF)
		return false;
	*ret_address = sym.st_value;
	return true;
}

static uint32_t gnu_hash_of(const char *s)
{
	uint32_t h = 5381;

	for (; *s; s++)
		h = h * 33 + (unsigned char)*s;
	return h;
}

/* Looks the symbol up as the loader does: bucket, then chain. */
static bool find_gnu(const struct image *image, uint64_t *ret_address)
{
	/* buckets, first symbol, words of the bloom filter, its shift */
	uint32_t head[4], symbol, hash = gnu_hash_of(AP_PLUGIN_SYMBOL);
	uint64_t at = offset_of(image, image->gnu_hash, sizeof(head)), buckets, chains;

	if (at == NONE || !get(image, at, head, sizeof(head)) || head[0] == 0)
		return false;
	buckets = at + sizeof(head) + (uint64_t)head[2] * sizeof(uint64_t);
	chains = buckets + (uint64_t)head[0] * sizeof(uint32_t);
	if (!get(image, buckets + (hash % head[0]) * sizeof(uint32_t), &symbol, sizeof(symbol)))
		return false;
	for (unsigned i = 0; i < SYMBOLS_MAX && symbol >= head[1]; i++, symbol++) {
		uint32_t other;

		if (!get(image, chains + (uint64_t)(symbol - head[1]) * sizeof(other), &other,
			    sizeof(other)))
			return false;
		if ((other | 1) == (hash | 1) && is_plugin(image, symbol, ret_address))
			return true;
		if ((other & 1) || symbol == UINT32_MAX)
			return false;
	}
	return false;
}

/* Looks through all symbols, whose number the old hash table tells. */
static bool find_sysv(const struct image *image, uint64_t *ret_address)
{
	uint32_t head[2]; /* buckets, chains: as many as symbols */
	uint64_t at = offset_of(image, image->hash, sizeof(head)), n;

	if (at == NONE || !get(image, at, head, sizeof(head)))
		return false;
	n = image->size / sizeof(Elf64_Sym);
	if (n > head[1])
		n = head[1];
	if (n > SYMBOLS_MAX)
		n = SYMBOLS_MAX;
	for (uint64_t i = 1; i < n; i++) {
		if (is_plugin(image, i, ret_address))
			return true;
	}
	return false;
}

/* True if the loader would look in the working directory: an entry is not absolute, or empty. */
static bool is_relative(const char *path)
{
	for (const char *at = path; *path; at++) {
		if (*at != '/')
			return true;
		at += strcspn(at, ":");
		if (*at == '\0')
			break;
	}
	return false;
}

/* The first library whose path begins in the working directory, or NULL. */
static const char *relative_needed(const struct image *image)
{
	for (uint64_t i = 0; i < image->n_dynamic; i++) {
		const char *name = NULL;
		Elf64_Dyn dyn;

		if (get_dynamic(image, i, &dyn) &&
			(dyn.d_tag == DT_NEEDED || dyn.d_tag == DT_FILTER ||
				dyn.d_tag == DT_AUXILIARY))
			name = string_at(image, dyn.d_un.d_val);
		if (name && name[0] != '/' && strchr(name, '/'))
			return name;
	}
	return NULL;
}

static bool has_origin(const char *path)
{
	return strstr(path, "$ORIGIN") || strstr(path, "${ORIGIN}");
}

static const char *bad_run_path(const struct image *image)
{
	const uint64_t at[] = {image->runpath, image->rpath};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		const char *path = at[i] == NONE ? NULL : string_at(image, at[i]);

		if (path && (has_origin(path) || is_relative(path)))
			return path;
	}
	return NULL;
}

int apd_elf_peek(const void *data, size_t size, struct apd_elf_peek *ret_peek, const char **ret_why)
{
	struct image image = {.data = data,
		.size = size,
		.symtab = NONE,
		.strtab = NONE,
		.hash = NONE,
		.gnu_hash = NONE,
		.runpath = NONE,
		.rpath = NONE};
	struct apd_elf_peek peek;
	uint64_t address, at;
	const char *why = check_header(&image);

	if (!why)
		why = read_dynamic(&image);
	if (why) {
		*ret_why = why;
		return -ENOEXEC;
	}
	if (!(image.gnu_hash != NONE && find_gnu(&image, &address)) &&
		!(image.hash != NONE && find_sysv(&image, &address))) {
		*ret_why = "it does not export " AP_PLUGIN_SYMBOL ": it is no apd plugin";
		return -ENOEXEC;
	}
	at = offset_of(&image, address, sizeof(peek.plugin));
	if (at == NONE || !get(&image, at, &peek.plugin, sizeof(peek.plugin))) {
		*ret_why = AP_PLUGIN_SYMBOL " has no contents in the file";
		return -ENOEXEC;
	}
	peek.run_path = bad_run_path(&image);
	peek.needed = relative_needed(&image);
	*ret_peek = peek;
	return 0;
}

int apd_elf_judge(const void *data, size_t size, char *why, size_t why_size)
{
	struct apd_elf_peek peek;
	const struct apd_elf_plugin *plugin = &peek.plugin;
	const char *sentence;

	if (apd_elf_peek(data, size, &peek, &sentence) < 0)
		snprintf(why, why_size, "%s", sentence);
	else if (plugin->magic != AP_PLUGIN_MAGIC)
		snprintf(why, why_size, "magic: wanted 0x%08x, found 0x%08x", AP_PLUGIN_MAGIC,
			plugin->magic);
	else if (plugin->abi_major != AP_ABI_MAJOR)
		snprintf(why, why_size, "abi_major: wanted %u, found %u", AP_ABI_MAJOR,
			plugin->abi_major);
	else if (plugin->size < PLUGIN_SIZE_1_0)
		snprintf(why, why_size, "size: wanted at least %zu, found %u", PLUGIN_SIZE_1_0,
			plugin->size);
	else if (plugin->needs_minor > AP_ABI_MINOR)
		snprintf(why, why_size, "needs_minor: wanted at most %u, found %u", AP_ABI_MINOR,
			plugin->needs_minor);
	/* Only until the ABI is frozen: then any minor of the same major will do. */
	else if (plugin->abi_minor != AP_ABI_MINOR)
		snprintf(why, why_size,
			"abi_minor: the ABI is a draft, wanted exactly %u, found %u", AP_ABI_MINOR,
			plugin->abi_minor);
	else if (peek.run_path)
		snprintf(why, why_size, "its run path has %s in it: %.200s",
			has_origin(peek.run_path) ? "$ORIGIN" : "the working directory",
			peek.run_path);
	else if (peek.needed)
		snprintf(why, why_size, "it needs a library of the working directory: %.200s",
			peek.needed);
	else
		return 0;
	return -ENOEXEC;
}
