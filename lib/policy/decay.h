/* SPDX-License-Identifier: Apache-2.0 */
/* decay.h: exp(-dt / tau) in half a nanosecond, for moving averages.
 *
 * 1,024 steps over [0, 8): 4 KiB, of which the beginning is what busy endpoints look at. Error below 0.008, which an average over noisy latencies does
 * not notice; beyond 8 tau it is 0. */
#ifndef MEMO__POLICY_DECAY_H
#define MEMO__POLICY_DECAY_H
#include <stdint.h>

extern const float memo__decay_table[1024] __attribute__((visibility("hidden")));

/* Steps a nanosecond, for a time constant. */
static inline float memo__decay_scale(int64_t tau_ns)
{
    return 128.0f / (float)(tau_ns < 1 ? 1 : tau_ns);
}

static inline float memo__decay(int64_t dt_ns, float scale)
{
    float step = (float)dt_ns * scale;
    if (step >= 1024.0f)
        return 0.0f;
    return memo__decay_table[(uint32_t)step];
}
#endif
