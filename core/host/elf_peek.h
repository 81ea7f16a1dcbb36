/*
 * Reads what an apd plugin says of itself in its first bytes off an ELF file,
 * without loading it: the file may be anything.
 */
#ifndef APD_HOST_ELF_PEEK_H
#define APD_HOST_ELF_PEEK_H

#include <stddef.h>
#include <stdint.h>

/* The integers that ap_plugin begins with. */
struct apd_elf_plugin {
	uint32_t magic;
	uint32_t size;
	uint32_t abi_major;
	uint32_t abi_minor;
	uint32_t needs_minor;
	uint32_t reserved;
};

/* What an ELF file of this machine says of itself. */
struct apd_elf_peek {
	struct apd_elf_plugin plugin;
	/* What would lead the loader to files that nobody checked, in the file; else NULL. */
	const char
		*run_path; /* DT_RUNPATH or DT_RPATH with $ORIGIN or the working directory in it */
	const char *needed; /* the path of a library, below the working directory */
};

/*
 * Finds the dynamic symbol ap_plugin_v1 in the file's bytes. Returns 0, or
 * -ENOEXEC with a static sentence for people in *ret_why. [any]
 */
int apd_elf_peek(
	const void *data, size_t size, struct apd_elf_peek *ret_peek, const char **ret_why);

/*
 * Peeks and judges: 0 if this host can serve the plugin, else -ENOEXEC with a
 * sentence in why that names the field, what is wanted and what was found. [any]
 */
int apd_elf_judge(const void *data, size_t size, char *why, size_t why_size);

#endif
