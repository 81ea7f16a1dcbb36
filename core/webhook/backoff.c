/* Exponential backoff with jitter. */
#include "webhook/backoff.h"

int64_t apd_backoff_us(int64_t first_us, uint32_t attempts, int64_t wish_us, uint64_t random)
{
	int64_t most = first_us < 2 ? 2 : first_us, half;

	for (uint32_t i = 1; i < attempts && most < APD_BACKOFF_MAX_US; i++)
		most *= 2;
	if (most > APD_BACKOFF_MAX_US)
		most = APD_BACKOFF_MAX_US;
	if (wish_us > APD_BACKOFF_MAX_US)
		wish_us = APD_BACKOFF_MAX_US;
	half = most / 2;
	half += (int64_t)(random % (uint64_t)(most - half + 1));
	return wish_us > half ? wish_us : half;
}
