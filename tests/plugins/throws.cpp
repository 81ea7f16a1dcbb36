// Lets a C++ exception out of invoke().
#include <ap/agent.h>

#include <stdexcept>

static ap_status invoke(void *, ap_run *)
{
	throw std::runtime_error("nobody catches this");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "throws"};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, nullptr};

extern "C" {
AP_PLUGIN(.name = "throws", .version = "1.0.0", .agents = agents);
}
