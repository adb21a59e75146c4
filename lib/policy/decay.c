/* SPDX-License-Identifier: Apache-2.0 */
/* decay.c: the table, as the products of two short ones. The fine one is taken at the middle of its steps, which halves the error. */
#include "policy/decay.h"

/* c * exp(-(j + 0.5) / 128), j = 0 to 31 */
#define FINE(c) \
    (c) * 0.99610137f, (c) * 0.98834965f, (c) * 0.98065825f, (c) * 0.97302671f, \
    (c) * 0.96545455f, (c) * 0.95794133f, (c) * 0.95048657f, (c) * 0.94308982f, \
    (c) * 0.93575064f, (c) * 0.92846857f, (c) * 0.92124317f, (c) * 0.91407400f, \
    (c) * 0.90696062f, (c) * 0.89990259f, (c) * 0.89289950f, (c) * 0.88595090f, \
    (c) * 0.87905637f, (c) * 0.87221550f, (c) * 0.86542787f, (c) * 0.85869305f, \
    (c) * 0.85201065f, (c) * 0.84538025f, (c) * 0.83880145f, (c) * 0.83227385f, \
    (c) * 0.82579704f, (c) * 0.81937064f, (c) * 0.81299424f, (c) * 0.80666747f, \
    (c) * 0.80038994f, (c) * 0.79416125f, (c) * 0.78798104f, (c) * 0.78184892f,

/* exp(-i / 4), i = 0 to 31 */
const float memo__decay_table[1024] = {
    FINE(1.00000000f) FINE(0.77880078f) FINE(0.60653066f) FINE(0.47236655f)
    FINE(0.36787944f) FINE(0.28650480f) FINE(0.22313016f) FINE(0.17377394f)
    FINE(0.13533528f) FINE(0.10539922f) FINE(0.08208500f) FINE(0.06392786f)
    FINE(0.04978707f) FINE(0.03877421f) FINE(0.03019738f) FINE(0.02351775f)
    FINE(0.01831564f) FINE(0.01426423f) FINE(0.01110900f) FINE(0.00865170f)
    FINE(0.00673795f) FINE(0.00524752f) FINE(0.00408677f) FINE(0.00318278f)
    FINE(0.00247875f) FINE(0.00193045f) FINE(0.00150344f) FINE(0.00117088f)
    FINE(0.00091188f) FINE(0.00071017f) FINE(0.00055308f) FINE(0.00043074f)
};
