/* The integer work of one momentum layer, in one pass over memory.
 *
 * Compiled at first use by native.py; eager.py says the same in PyTorch operations, and the two
 * agree bit for bit: integer arithmetic is exact, and the few floating-point operations (widening,
 * one product, one rounding half to even, one conversion) are correctly rounded on their own.
 * Compile with -ffp-contract=off and -fwrapv.
 *
 * Three ways through a layer:
 *   - step_fast.h: x, v and the increments below 2^49 units or so, as almost always. Everything is
 *     exact in double precision, in vectors, on any processor.
 *   - step_exact.h: what is left of a BLOCK once a vector of it is larger, and its last few entries.
 *     64-bit integers.
 *   - step_two_words.h: numbers of two words.
 * Each is written once and included for float and for double.
 *
 * Notation: buffer.py. Integer quotients go through double precision, which vectorises where 64-bit
 * division does not, and are then corrected to the exact integers:
 *   - FLOOR_DIV: |a| < 2^63, m <= 2^24. The first quotient errs by at most 2^63 3 2^-53 / m + 1, so
 *     the remainder is below 2^26, its quotient exact but for one unit, which the signs settle.
 *   - SMALL_DIV: a >= 0 with a quotient below 2^24: errs by at most one unit.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef BLOCK
#define BLOCK 512 /* entries whose data fit the first cache */
#endif
#define RUN 32768 /* entries that are not worth waking another thread for */
#define LARGEST_INCREMENT 2305843009213693952.0 /* 2^61 */
#define LOST 9.0e18
#define LEAST_PEAK ((I)1 << 51) /* smaller ones are not told apart */

typedef int64_t I;
typedef uint64_t U;

#define SETTLE(q, r, a, m)                                                                         \
    r = (a) - q * (m);                                                                             \
    q += r >> 63;                                                                                  \
    q += (r >= (m)) ? 1 : 0;                                                                       \
    r = (a) - q * (m);

#define FLOOR_DIV(q, r, a, m, inverse)                                                             \
    I q = (I)((double)(a) * (inverse)), r = (a) - q * (m);                                         \
    q += (I)((double)r * (inverse));                                                               \
    SETTLE(q, r, a, m)

#define SMALL_DIV(q, r, a, m, inverse)                                                             \
    I q = (I)((double)(a) * (inverse)), r;                                                         \
    SETTLE(q, r, a, m)

static inline I larger(I a, I b) { return a > b ? a : b; }
static inline I least(I a, I b) { return a < b ? a : b; }
static inline I magnitude(I a) { return a < 0 ? -a : a; }

/* What a layer does to every entry: gamma = n/d, and the buffer's radices. */
typedef struct {
    I n, d, before, after;
} Layer;

/* The m words of the buffer from number `first`, which it holds in 2, 4 or 8 bytes each. */
static inline I *widened(I m, I first, void *b, I bytes, I *wide) {
    if (!b || bytes == 8) return b ? (I *)b + first : 0;
    if (bytes == 2)
        for (I j = 0; j < m; j++) wide[j] = ((const int16_t *)b)[first + j];
    else
        for (I j = 0; j < m; j++) wide[j] = ((const int32_t *)b)[first + j];
    return wide;
}

/* Put them back. */
static inline void narrowed(I m, I first, void *b, I bytes, const I *wide) {
    if (!b || bytes == 8) return;
    if (bytes == 2)
        for (I j = 0; j < m; j++) ((int16_t *)b)[first + j] = (int16_t)wide[j];
    else
        for (I j = 0; j < m; j++) ((int32_t *)b)[first + j] = (int32_t)wide[j];
}

#include "step_vectors.h"

#define REAL float
#define NAME(name) f32_##name
#include "step_exact.h"
#include "step_fast.h"
#include "step_two_words.h"
#include "step_entry.h"
#include "step_adjoint.h"
#include "step_floats.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) f64_##name
#include "step_exact.h"
#include "step_fast.h"
#include "step_two_words.h"
#include "step_entry.h"
#include "step_adjoint.h"
#include "step_floats.h"

#include "step_bfloat16.h"
