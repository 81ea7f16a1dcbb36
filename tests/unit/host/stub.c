/* A file that passes for a plugin until somebody calls it. */
#include "ap/agent.h"

static const ap_agent *const agents[] = {NULL};

AP_PLUGIN(.name = "stub", .version = "1.0.0", .agents = agents);
