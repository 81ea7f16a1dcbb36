/*
 * JSON Schema (draft 2020-12): schemas are compiled from scanned documents and
 * checked over scanned documents, so that no tree is ever built and a request
 * body is scanned exactly once.
 *
 * Everything of the core, applicator, unevaluated and validation vocabularies
 * is asserted, except that a $ref must stay within its document and that
 * $dynamicRef is a plain $ref to a $dynamicAnchor. Also asserted are these
 * formats: date-time, date, time, duration, email, idn-email, hostname, ipv4,
 * ipv6, uri, uri-reference, iri, iri-reference, uuid, json-pointer,
 * relative-json-pointer. Other formats and unknown keywords say nothing.
 * Patterns are those that ECMA-262 has (with its "u" flag); what only Perl has
 * (atomic groups, possessive quantifiers, verbs, recursion, \A, \z) is refused,
 * since others could not read such a schema.
 *
 * Numbers are compared as decimals, exactly up to 19 digits.
 */
#ifndef APD_SCHEMA_SCHEMA_H
#define APD_SCHEMA_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/json_scan.h"
#include "base/str.h"

/* A compiled schema: immutable, so that any number of threads may check with it at once. */
struct apd_schema;

/* Why a schema was refused, or why a value does not match one. */
struct apd_schema_error {
	/*
	 * A JSON pointer: into the checked value ("" is the value itself), or into
	 * the schema's document when compiling. Where it would not fit it ends
	 * early, at the closest ancestor that does.
	 */
	char path[160];
	char message[240]; /* in words: "expected an integer, got a string" */
};

/*
 * Compiles a schema from its text, which may go away afterwards. The caller
 * owns *ret_schema. Returns 0, or -EINVAL with *error filled (error may be
 * NULL): the text is not JSON, a keyword has a value it cannot have, a pattern
 * does not compile, a $ref leads nowhere, or schemas refer to each other in a
 * circle without ever descending into the value. [any]
 */
int apd_schema_compile(
	struct apd_str text, struct apd_schema **ret_schema, struct apd_schema_error *error);

/*
 * Compiles the schema at a JSON pointer of a scanned document ("#/components/
 * schemas/Run" or "/components/schemas/Run"); a $ref in it resolves within that
 * document. Of the document, only what is reached is looked at; a $ref to an
 * $anchor or $id finds those below the root's own keywords, below
 * components/schemas and below `at`. The document may go away afterwards.
 * Otherwise like apd_schema_compile. [any]
 */
int apd_schema_compile_at(const struct apd_json *doc, struct apd_str at,
	struct apd_schema **ret_schema, struct apd_schema_error *error);

/* Frees a schema that nobody checks with any more; NULL is fine. [any] */
void apd_schema_destroy(struct apd_schema *schema);

/*
 * Checks value i of a scanned document. Returns 0, or -EINVAL with the first
 * error found in *error, whose path starts at value i. error may be NULL, which
 * is cheaper for values that do not match. The work is bounded by the size of
 * the value: where schema and value together need more, the value is refused
 * as "too complex". A match allocates only for strings with escapes that a
 * keyword looks into, for patterns, for uniqueItems over more than 64 items,
 * and where enum or const hold objects of more than 16 members. Needs
 * about 256 KiB of stack for the deepest values. [any]
 */
int apd_schema_check(const struct apd_schema *schema, const struct apd_json *doc, uint32_t i,
	struct apd_schema_error *error);

/*
 * The n-th name in the schema's own "properties", counted from 0 in the order
 * they are written; absent past the end. A schema that is but a $ref has those
 * of its target. Borrowed from the schema. [any]
 */
struct apd_str apd_schema_property(const struct apd_schema *schema, size_t n);

#endif
