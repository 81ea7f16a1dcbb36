/* The checks that look at the file and at its constant. */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "ap/agent.h"
#include "apd/check/check.h"
#include "base/alloc.h"
#include "host/plugin_file.h"
#include "schema/schema.h"
#include "worker/mapped.h"

/* Bytes of a file, of which nothing is believed. */
struct bytes {
	const unsigned char *data;
	size_t size;
};

/* Copies n bytes at an offset; false if they are not all there. */
static bool get(const struct bytes *bytes, uint64_t at, void *ret, size_t n)
{
	if (at > bytes->size || n > bytes->size - at)
		return false;
	memcpy(ret, bytes->data + at, n);
	return true;
}

/* A string at an offset, or NULL if it does not end. */
static const char *string_at(const struct bytes *bytes, uint64_t at)
{
	if (at >= bytes->size || !memchr(bytes->data + at, '\0', bytes->size - at))
		return NULL;
	return (const char *)bytes->data + at;
}

/* True for a symbol that others can bind to. */
static bool is_exported(const Elf64_Sym *sym)
{
	unsigned char visibility = ELF64_ST_VISIBILITY(sym->st_other);

	return sym->st_shndx != SHN_UNDEF && ELF64_ST_BIND(sym->st_info) != STB_LOCAL &&
		(visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* Names that older linkers, and a sanitizer, give every library. */
static bool is_linkers(const char *name)
{
	static const char *const names[] = {
		"_init", "_fini", "_edata", "_end", "__bss_start", NULL};

	for (size_t i = 0; names[i]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "__odr_asan.", strlen("__odr_asan.")) == 0;
}

/* Looks through one table of dynamic symbols. */
static void look_through(struct apd_check *check, const struct bytes *bytes,
	const Elf64_Shdr *table, const Elf64_Shdr *strings)
{
	Elf64_Sym sym;
	bool mine = false;

	for (uint64_t at = 0; at + sizeof(sym) <= table->sh_size; at += sizeof(sym)) {
		const char *name;

		if (!get(bytes, table->sh_offset + at, &sym, sizeof(sym)))
			break;
		name = string_at(bytes, strings->sh_offset + sym.st_name);
		if (!name || !is_exported(&sym) || is_linkers(name))
			continue;
		if (strcmp(name, AP_PLUGIN_SYMBOL) == 0)
			mine = true;
		else
			apd_check_fail(check,
				"exports \"%.100s\" too: hide it, or link with the "
				"version script of apd_add_agent()",
				name);
	}
	if (!mine)
		apd_check_fail(check, "does not export %s", AP_PLUGIN_SYMBOL);
}

void apd_check_symbol_exported_alone(struct apd_check *check)
{
	struct bytes bytes;
	struct apd_elf_peek peek;
	Elf64_Ehdr ehdr;
	Elf64_Shdr shdr, strings;
	const char *why;

	bytes.data = apd_check_bytes(check, &bytes.size);
	if (!bytes.data)
		return;
	if (apd_elf_peek(bytes.data, bytes.size, &peek, &why) < 0) {
		apd_check_fail(check, "%s", why);
		return;
	}
	if (!get(&bytes, 0, &ehdr, sizeof(ehdr)))
		return;
	for (unsigned i = 0; i < ehdr.e_shnum; i++) {
		if (!get(&bytes, ehdr.e_shoff + (uint64_t)i * sizeof(shdr), &shdr, sizeof(shdr)))
			break;
		if (shdr.sh_type != SHT_DYNSYM || shdr.sh_link >= ehdr.e_shnum ||
			!get(&bytes, ehdr.e_shoff + (uint64_t)shdr.sh_link * sizeof(strings),
				&strings, sizeof(strings)))
			continue;
		check->tried++;
		look_through(check, &bytes, &shdr, &strings);
	}
	if (!check->tried)
		apd_check_skip(check, "the file has no section headers to list its symbols by");
}

/* What the worker's refusals are about. */
enum about {
	ABOUT_NOTHING,
	ABOUT_FIELDS,
	ABOUT_IDS,
	ABOUT_SCHEMAS,
};

/* Which check a refusal belongs to. */
static enum about about(const char *refusal)
{
	if (strstr(refusal, ".info.id:"))
		return ABOUT_IDS;
	if (strstr(refusal, "_schema:") || strstr(refusal, ": metadata:"))
		return ABOUT_SCHEMAS;
	return ABOUT_FIELDS;
}

/* Compiles the schemas of an agent. */
static void check_schemas(struct apd_check *check, const ap_agent_info *info)
{
	const struct {
		const char *field;
		const char *text;
	} schemas[] = {
		{"input_schema", info->input_schema},
		{"output_schema", info->output_schema},
		{"state_schema", info->state_schema},
		{"config_schema", info->config_schema},
		{"settings_schema", info->settings_schema},
	};

	for (size_t i = 0; i < APD_COUNT(schemas); i++) {
		struct apd_schema_error error;
		struct apd_schema *schema;

		if (!schemas[i].text)
			continue;
		if (apd_schema_compile(apd_str(schemas[i].text), &schema, &error) < 0)
			apd_check_fail(check, "agent %s: %s: %s%s%s", info->id, schemas[i].field,
				error.path, error.path[0] ? ": " : "", error.message);
		else
			apd_schema_destroy(schema);
	}
}

/* Maps the plugin as the worker does; what that finds wrong goes to the check it is about. */
static void map(struct apd_check *check, enum about wanted)
{
	char why[APD_WHY_SIZE];
	struct apd_mapped mapped;
	struct apd_buf error = {0};
	const char *step;

	if (apd_plugin_file_judge(check->target->memfd, why) < 0) {
		if (wanted == ABOUT_FIELDS)
			apd_check_fail(check, "%s", why);
		else
			apd_check_skip(check, "the plugin is refused: %s", why);
		check->hopeless = true;
		return;
	}
	check->tried++;
	if (apd_mapped_open(&mapped, check->target->memfd, &step, &error) < 0 &&
		about(error.data) == wanted)
		apd_check_fail(check, "%s", error.data);
	for (size_t i = 0; !error.len && wanted == ABOUT_SCHEMAS && i < mapped.n_agents; i++)
		check_schemas(check, &mapped.agents[i].info);
	check->hopeless = check->result == APD_CHECK_FAIL;
	apd_buf_finish(&error);
	apd_mapped_finish(&mapped);
}

void apd_check_abi_fields(struct apd_check *check)
{
	map(check, ABOUT_FIELDS);
}

void apd_check_ids_unique(struct apd_check *check)
{
	map(check, ABOUT_IDS);
}

void apd_check_schemas(struct apd_check *check)
{
	map(check, ABOUT_SCHEMAS);
}
