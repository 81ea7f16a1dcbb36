/* Access to the OpenAPI document that openapi.S builds in. */
#include "api/api.h"

extern const char apd_openapi_begin[];
extern const char apd_openapi_end[];

struct apd_str apd_api_openapi(void)
{
	return (struct apd_str){apd_openapi_begin, (size_t)(apd_openapi_end - apd_openapi_begin)};
}
