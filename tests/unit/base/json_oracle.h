/*
 * jansson as the judge of the scanner: both read a text, and what they make of
 * it is compared. Used by the unit test and by the fuzz target.
 */
#ifndef APD_TESTS_JSON_ORACLE_H
#define APD_TESTS_JSON_ORACLE_H

#include "base/json_scan.h"

/* Scans the text. Returns NULL if both agree, else in words what they disagree about. */
const char *json_oracle_check(struct apd_json *json, struct apd_str text);

#endif
