/*
 * Tags: how rows are found by what their metadata contains. Each scalar of a
 * JSON text gives one, a hash of its path (in which all items of an array are
 * the same) and its value, so that a text that contains a filter has all tags of
 * the filter. The converse is not so, and what is found has to be compared.
 */
#ifndef APD_STORAGE_SQLITE_TAGS_H
#define APD_STORAGE_SQLITE_TAGS_H

#include "base/json_scan.h"

/* A row with more of them has but one, which every search looks at. */
#define APD_TAGS_MAX 64

/* The tag of rows with too many. */
#define APD_TAG_MANY 0

struct apd_tags {
	int64_t items[APD_TAGS_MAX]; /* different ones, rising */
	unsigned n;
	bool many; /* there were more; of a row, items is APD_TAG_MANY alone */
};

/* The tags of a row's metadata; none of what is no JSON object. json: for scanning. */
void apd_tags_of_row(struct apd_tags *tags, struct apd_json *json, struct apd_str metadata);

/* The tags of a scanned filter, or some of them. */
void apd_tags_of_filter(struct apd_tags *tags, const struct apd_json *filter);

#endif
