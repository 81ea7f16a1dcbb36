/* Reading apd.yaml: libyaml's document against the tables of keys. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "apd/config.h"
#include "apd/config_keys.h"
#include "apd/config_scalar.h"
#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "webhook/address.h"
#include "webhook/sign.h"

/* The reading of one file. */
struct reading {
	struct apd_config *config;
	const char *name;
	yaml_document_t document;
	struct apd_buf path; /* "workers.max": where it reads now */
	struct apd_buf *error;
};

/* Says what is wrong at a node; returns -1. */
static int complain(struct reading *reading, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(struct reading *reading, const yaml_node_t *node, const char *fmt, ...)
{
	va_list ap;

	apd_buf_addf(reading->error, "%s:%zu: ", reading->name, node->start_mark.line + 1);
	if (reading->path.len)
		apd_buf_addf(reading->error, "%s: ", reading->path.data);
	va_start(ap, fmt);
	apd_buf_addv(reading->error, fmt, ap);
	va_end(ap);
	return -1;
}

static const yaml_node_t *node_at(struct reading *reading, int index)
{
	return yaml_document_get_node(&reading->document, index);
}

/* A scalar's text; absent for another kind of node. */
static struct apd_str scalar_of(const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE)
		return APD_STR_ABSENT;
	return (struct apd_str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

/* Adds a node as JSON. depth bounds aliases that contain themselves. */
static int add_json(
	struct reading *reading, struct apd_buf *out, const yaml_node_t *node, int depth)
{
	if (depth > 64 || out->len > (1u << 20))
		return complain(reading, node, "too deep or too large");
	if (node->type == YAML_SCALAR_NODE) {
		config_scalar_add_json(
			out, scalar_of(node), node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
		return 0;
	}
	if (node->type == YAML_SEQUENCE_NODE) {
		apd_buf_lit(out, "[");
		for (yaml_node_item_t *i = node->data.sequence.items.start;
			i < node->data.sequence.items.top; i++) {
			apd_json_add_comma(out);
			if (add_json(reading, out, node_at(reading, *i), depth + 1) < 0)
				return -1;
		}
		apd_buf_lit(out, "]");
		return 0;
	}
	apd_buf_lit(out, "{");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = node_at(reading, pair->key);

		if (key->type != YAML_SCALAR_NODE)
			return complain(reading, key, "a key must be a word");
		apd_json_add_comma(out);
		apd_json_add_string(out, scalar_of(key));
		apd_buf_lit(out, ":");
		if (add_json(reading, out, node_at(reading, pair->value), depth + 1) < 0)
			return -1;
	}
	apd_buf_lit(out, "}");
	return 0;
}

/* Reads a mapping as JSON text. */
static int read_json(struct reading *reading, const yaml_node_t *node, const char **ret_json)
{
	struct apd_buf json = {0};
	struct apd_json scan = {0};
	int r;

	if (node->type != YAML_MAPPING_NODE)
		return complain(reading, node, "expected a mapping");
	r = add_json(reading, &json, node, 0);
	/* What was written is JSON but for keys that stand twice, and numbers too large. */
	if (r == 0 && apd_json_scan(&scan, apd_buf_str(&json)) < 0)
		r = complain(reading, node, "%s", scan.error);
	apd_json_finish(&scan);
	if (r == 0)
		*ret_json = apd_config_keep(reading->config, apd_buf_str(&json));
	apd_buf_finish(&json);
	return r;
}

/* Reads a list of strings, or one. What was there before is replaced. */
static int read_strings(struct reading *reading, const yaml_node_t *node, const char ***list)
{
	free((void *)*list);
	*list = NULL;
	if (node->type == YAML_SCALAR_NODE) {
		apd_config_add(reading->config, list, scalar_of(node));
		return 0;
	}
	if (node->type != YAML_SEQUENCE_NODE)
		return complain(reading, node, "expected a list");
	/* None is something else than nothing said. */
	*list = apd_calloc(1, sizeof(**list));
	for (yaml_node_item_t *i = node->data.sequence.items.start;
		i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = node_at(reading, *i);

		if (item->type != YAML_SCALAR_NODE)
			return complain(reading, item, "expected a string");
		apd_config_add(reading->config, list, scalar_of(item));
	}
	return 0;
}

/* Reads a list of networks, or one. */
static int read_networks(struct reading *reading, const yaml_node_t *node, const char ***list)
{
	struct apd_network network;

	if (read_strings(reading, node, list) < 0)
		return -1;
	for (const char **item = *list; *item; item++)
		if (apd_network_parse(apd_str(*item), &network) < 0)
			return complain(reading, node,
				"\"%s\" is not a network such as 10.0.0.0/8 or fd00::/8", *item);
	return 0;
}

/* Takes the secret, unless there is one already. */
static int take_secret(struct reading *reading, const yaml_node_t *node, struct apd_str text,
	const char **ret_secret)
{
	struct apd_buf key = {0}, error = {0};
	int r = 0;

	if (*ret_secret)
		return complain(reading, node, "there is a secret already");
	if (apd_secret_parse(text, &key, &error) < 0)
		r = complain(reading, node, "%s", error.data);
	else if (memchr(text.ptr, '\0', text.len))
		r = complain(reading, node, "there is a NUL in it");
	else
		*ret_secret = apd_config_keep(reading->config, text);
	apd_secret_finish(&key);
	apd_buf_finish(&error);
	return r;
}

/* Reads a secret from a file; white space at its end is not part of it. */
static int read_secret_file(struct reading *reading, const yaml_node_t *node, struct apd_str path,
	const char **ret_secret)
{
	char text[1024];
	struct apd_str secret = {text, 0};
	const char *name;
	FILE *file;
	bool bad;

	if (path.len == 0 || memchr(path.ptr, '\0', path.len))
		return complain(reading, node, "expected a file's name");
	name = apd_config_keep(reading->config, path);
	file = fopen(name, "re");
	if (!file)
		return complain(reading, node, "%s: %s", name, strerror(errno));
	secret.len = fread(text, 1, sizeof(text), file);
	bad = ferror(file);
	fclose(file);
	if (bad)
		return complain(reading, node, "%s cannot be read", name);
	while (secret.len && strchr(" \t\r\n", text[secret.len - 1]))
		secret.len--;
	return take_secret(reading, node, secret, ret_secret);
}

/* Reads one of a few words. */
static int read_word(struct reading *reading, const yaml_node_t *node, const struct config_key *key,
	int *ret_index)
{
	struct apd_str word = scalar_of(node);
	struct apd_buf list = {0};

	for (int i = 0; key->words[i]; i++) {
		if (apd_str_is(word, key->words[i])) {
			*ret_index = i + (int)key->least;
			apd_buf_finish(&list);
			return 0;
		}
		apd_buf_addf(&list, "%s%s", i ? ", " : "", key->words[i]);
	}
	complain(reading, node, "expected one of %s", list.data);
	apd_buf_finish(&list);
	return -1;
}

/* Reads a number with a unit, within the key's limits. */
static int read_number(struct reading *reading, const yaml_node_t *node,
	const struct config_key *key, int64_t *ret_value)
{
	struct apd_str text = scalar_of(node);
	int r = !text.ptr                      ? -EINVAL
		: key->type == CONFIG_DURATION ? config_scalar_duration(text, ret_value)
		: key->type == CONFIG_BYTES    ? config_scalar_bytes(text, ret_value)
					       : config_scalar_count(text, ret_value);
	struct apd_buf least = {0}, most = {0};

	if (r < 0)
		return complain(reading, node, "expected %s",
			key->type == CONFIG_DURATION ? "a duration such as 250ms, 10s, 15m or 24h"
				: key->type == CONFIG_BYTES ? "a size such as 64KiB, 16MiB or 1GiB"
							    : "a whole number");
	if (*ret_value >= key->least && *ret_value <= key->most)
		return 0;
	config_scalar_show(&least, key->type, key->least);
	config_scalar_show(&most, key->type, key->most);
	complain(reading, node, "must lie between %s and %s", least.data, most.data);
	apd_buf_finish(&least);
	apd_buf_finish(&most);
	return -1;
}

static int read_mapping(struct reading *reading, const yaml_node_t *node,
	const struct config_key *keys, void *target);
static int read_agents(struct reading *reading, const yaml_node_t *node);

/* Reads the value of a key into its place. */
static int read_value(struct reading *reading, const yaml_node_t *node,
	const struct config_key *key, void *target)
{
	char *place = (char *)target + key->offset;
	struct apd_str text = scalar_of(node);
	int64_t number = 0;

	switch (key->type) {
	case CONFIG_STRING:
		if (text.len == 0 || memchr(text.ptr, '\0', text.len))
			return complain(reading, node, "expected a string");
		*(const char **)place = apd_config_keep(reading->config, text);
		return 0;
	case CONFIG_STRINGS:
		return read_strings(reading, node, (const char ***)place);
	case CONFIG_BOOL:
		if (!apd_str_is(text, "true") && !apd_str_is(text, "false"))
			return complain(reading, node, "expected true or false");
		*(bool *)place = apd_str_is(text, "true");
		return 0;
	case CONFIG_COUNT:
		if (read_number(reading, node, key, &number) < 0)
			return -1;
		*(uint32_t *)place = (uint32_t)number;
		return 0;
	case CONFIG_BYTES:
	case CONFIG_DURATION:
		return read_number(reading, node, key, (int64_t *)place);
	case CONFIG_WORD:
		return read_word(reading, node, key, (int *)place);
	case CONFIG_JSON:
		return read_json(reading, node, (const char **)place);
	case CONFIG_SECRET:
		return take_secret(
			reading, node, text.ptr ? text : APD_STR(""), (const char **)place);
	case CONFIG_SECRET_FILE:
		return read_secret_file(reading, node, text, (const char **)place);
	case CONFIG_NETWORKS:
		return read_networks(reading, node, (const char ***)place);
	case CONFIG_SECTION:
		return read_mapping(reading, node, key->section, target);
	case CONFIG_AGENTS:
		return read_agents(reading, node);
	}
	return -1;
}

/* Refuses a key that is in no table, with the nearest one that is. */
static int unknown_key(struct reading *reading, const yaml_node_t *node, struct apd_str name,
	const struct config_key *keys)
{
	const char *nearest = NULL;
	size_t best = name.len / 2 + 2;

	for (const struct config_key *key = keys; key->name; key++) {
		size_t distance = config_scalar_distance(name, apd_str(key->name));

		if (distance < best) {
			best = distance;
			nearest = key->name;
		}
	}
	if (nearest)
		return complain(reading, node, "unknown key, did you mean \"%s\"?", nearest);
	return complain(reading, node, "unknown key");
}

/* True if a key of the mapping before this pair is the same: YAML forbids it, libyaml does not. */
static bool stands_before(struct reading *reading, const yaml_node_t *node,
	const yaml_node_pair_t *pair, struct apd_str name)
{
	for (const yaml_node_pair_t *other = node->data.mapping.pairs.start; other < pair; other++)
		if (apd_str_eq(name, scalar_of(node_at(reading, other->key))))
			return true;
	return false;
}

/* Reads a mapping whose keys are in a table. An empty value counts as an empty mapping. */
static int read_mapping(struct reading *reading, const yaml_node_t *node,
	const struct config_key *keys, void *target)
{
	size_t outer = reading->path.len;

	if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return complain(reading, node, "expected a mapping");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key_node = node_at(reading, pair->key);
		struct apd_str name = scalar_of(key_node);
		const struct config_key *key = keys;

		if (!name.ptr)
			return complain(reading, key_node, "a key must be a word");
		apd_buf_addf(&reading->path, "%s%.*s", outer ? "." : "", APD_STR_FMT(name));
		if (stands_before(reading, node, pair, name))
			return complain(reading, key_node, "the key stands here twice");
		while (key->name && !apd_str_is(name, key->name))
			key++;
		if (!key->name)
			return unknown_key(reading, key_node, name, keys);
		if (read_value(reading, node_at(reading, pair->value), key, target) < 0)
			return -1;
		reading->path.len = outer;
		reading->path.data[outer] = '\0';
	}
	return 0;
}

/* Reads one agent of the mapping. */
static int read_agent(struct reading *reading, const yaml_node_t *key, const yaml_node_t *value)
{
	struct apd_config *config = reading->config;
	struct apd_str id = scalar_of(key);
	struct apd_agent_config *agent;

	if (!config_scalar_is_agent_id(id))
		return complain(reading, key,
			"an agent's id has 1 to 64 letters, digits, dots, dashes and underscores");
	for (size_t i = 0; i < config->n_agents; i++)
		if (apd_str_is(id, config->agents[i].agent_id))
			return complain(
				reading, key, "there are two agents \"%.*s\"", APD_STR_FMT(id));
	config->agents =
		apd_realloc(config->agents, (config->n_agents + 1) * sizeof(*config->agents));
	agent = &config->agents[config->n_agents++];
	*agent =
		(struct apd_agent_config){.agent_id = apd_config_keep(config, id), .isolation = -1};
	if (read_mapping(reading, value, config_agent, agent) < 0)
		return -1;
	if (!agent->plugin)
		return complain(reading, key, "the key \"plugin\" is missing");
	return 0;
}

/* Reads the mapping from agent_id to its settings. */
static int read_agents(struct reading *reading, const yaml_node_t *node)
{
	size_t outer = reading->path.len;

	if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return complain(reading, node, "expected a mapping from agent ids");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = node_at(reading, pair->key);

		apd_buf_addf(&reading->path, ".%.*s", APD_STR_FMT(scalar_of(key)));
		if (read_agent(reading, key, node_at(reading, pair->value)) < 0)
			return -1;
		reading->path.len = outer;
		reading->path.data[outer] = '\0';
	}
	return 0;
}

/* Loads the document and reads it from its root. */
static int read_document(struct reading *reading, yaml_parser_t *parser)
{
	yaml_node_t *root;
	int r = 0;

	if (!yaml_parser_load(parser, &reading->document)) {
		apd_buf_addf(reading->error, "%s:%zu: %s", reading->name,
			parser->problem_mark.line + 1,
			parser->problem ? parser->problem : "not YAML");
		return -1;
	}
	root = yaml_document_get_root_node(&reading->document);
	if (root)
		r = read_mapping(reading, root, config_root, reading->config);
	yaml_document_delete(&reading->document);
	return r;
}

int apd_config_parse(
	struct apd_config *config, const char *name, struct apd_str text, struct apd_buf *error)
{
	struct reading reading = {.config = config, .name = name, .error = error};
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser)) {
		apd_buf_addf(error, "%s: out of memory", name);
		return -1;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
	r = read_document(&reading, &parser);
	yaml_parser_delete(&parser);
	apd_buf_finish(&reading.path);
	return r;
}
